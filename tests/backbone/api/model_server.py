"""A local model behind OpenAI's protocol, by transformers alone: `python model_server.py FOLDER`.

Float32, a sentence at a time, greedy; it heeds no stop string. It prints its port.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LOCK = threading.Lock()
MODEL: Any = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
TOKENIZER: Any = AutoTokenizer.from_pretrained(sys.argv[1])


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The response to a request body."""
    if "messages" in asked:
        text = TOKENIZER.apply_chat_template(
            asked["messages"], tokenize=False, add_generation_prompt=True
        )
        ids = TOKENIZER(text, return_tensors="pt", add_special_tokens=False).input_ids
    else:
        ids = TOKENIZER(asked["prompt"], return_tensors="pt").input_ids
    ends = [TOKENIZER.eos_token_id]
    if "messages" in asked:  # what the template puts behind a turn
        ends.append(TOKENIZER.convert_tokens_to_ids("</turn>"))
    with LOCK, torch.inference_mode():
        output = MODEL.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=asked["max_tokens"],
            do_sample=False, eos_token_id=ends, pad_token_id=TOKENIZER.pad_token_id,
        )  # fmt: skip
    new = output[0, ids.shape[1] :].tolist()
    ended = new[-1] in ends
    text = TOKENIZER.decode(new, skip_special_tokens=True)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if ended else "length"}
    if "messages" in asked:
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    usage = {"prompt_tokens": ids.shape[1], "completion_tokens": len(new)}
    return {"choices": [choice], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        """A question."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps(answer(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
