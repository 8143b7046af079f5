"""README.zh-Hans.md from README.zh-Hant.md: `python -m experiments.mainland` writes it.

OpenCC (`tw2sp`) converts characters and most words; `WORDS` are those of the field that it does not
know. Code stays as it is, but for the comments in it.
"""

import re
import sys

from chmed_ner.files import config_directory, replacing

WORDS = {
    "命名实体辨识": "命名实体识别", "串行标注器": "序列标注器", "指令列": "命令行", "指令": "命令",
    "会听命令的": "能遵循指令的", "印出": "输出", "缓存套件": "已缓存的软件包",
    "额外套件": "可选依赖", "信赖区间": "置信区间", "检查码": "校验和", "模型档": "模型文件",
    "GGUF 档": "GGUF 文件", "验证档": "验证文件", "测试档": "测试文件", "协定": "协议",
    "位移": "偏移", "码位": "码点", "文类": "体裁", "范例": "示例", "示范": "演示", "传回": "返回",
    "区块": "语句块", "丢出": "抛出", "预设": "默认", "最后两列": "最后两行",
    "没有一列": "没有一行", "每一列": "每一行", "各列": "各行", "字段格式": "列格式",
    "指针": "指标", "依序": "依次", "依种子": "按种子", "依原文": "按原文",
    "依 umask": "由 umask 决定", "连接端口": "端口", "散布": "分发", "略过": "跳过",
    "搬移": "移动", "拷贝": "复制", "被运行": "被执行", "在一个画面列出": "在一屏内列出",
    "取得": "获取", "作答": "推理", "内附": "内置", "主办单位": "主办方", "消息": "提示信息",
    "配对检定": "配对检验", "采 Apache": "采用 Apache",
}  # fmt: skip
"""What `tw2sp` gives, and what is said in China."""

CODE = re.compile(r"(`[^`]*`)")
COMMENT = re.compile(r"(^|\s)(# .*)$")


def mainland(text: str) -> str:
    """The Markdown text in simplified characters and mainland words."""
    import opencc

    convert = opencc.OpenCC("tw2sp").convert

    def words(part: str) -> str:
        part = convert(part)
        for theirs, ours in WORDS.items():
            part = part.replace(theirs, ours)
        return part

    lines, fenced = [], False
    for line in text.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            line = COMMENT.sub(lambda found: found[1] + words(found[2]), line)
        else:
            line = "".join(
                part if at % 2 else words(part) for at, part in enumerate(CODE.split(line))
            )
        lines.append(line)
    return "\n".join(lines).replace(
        "[English](README.md) · 繁体中文 · [简体中文](README.zh-Hans.md)",
        "[English](README.md) · [繁體中文](README.zh-Hant.md) · 简体中文",
    )


def main() -> int:
    """Write the file at the top of the checkout."""
    root = config_directory().parent
    text = mainland((root / "README.zh-Hant.md").read_text(encoding="utf-8"))
    with replacing(root / "README.zh-Hans.md") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
