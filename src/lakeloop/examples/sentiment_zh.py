"""Financial news in Chinese, with one of three judgements."""

from __future__ import annotations

import random

from lakeloop.examples.base import Example, Row
from lakeloop.examples.grammar import Words, fill, mistaken

_CORES: dict[str, tuple[str, ...]] = {
    "negative": (
        "{who}{time}{thing}同比下降{rate}，低于市场预期",
        "受需求疲软影响，{who}预计{time}亏损{sum}亿元",
        "{who}因信息披露违规被{place}监管部门立案调查",
        "{who}宣布裁员{count}人，{thing}持续下滑",
        "{who}股价大跌{rate}，创一年来新低",
    ),
    "neutral": (
        "{who}将于下周四公布{time}{thing}数据",
        "{who}董事会任命新的{place}分公司负责人",
        "{who}总部位于{place}，现有员工{count}人",
        "{who}{time}{thing}为{sum}亿元，与去年同期持平",
        "{who}未披露来自{place}的订单金额",
    ),
    "positive": (
        "{who}{time}{thing}同比增长{rate}，高于市场预期",
        "受益于需求回暖，{who}预计{time}盈利{sum}亿元",
        "{who}中标{place}项目，合同金额{sum}亿元",
        "{who}将在{place}新增{count}个岗位，{thing}再创新高",
        "{who}股价大涨{rate}，创一年来新高",
    ),
}
_WORDS: Words = {
    "who": ("华岭股份", "东泽科技", "远安银行", "北川能源", "瑞禾食品", "海棠物流", "明湖汽车"),
    "time": ("一季度", "二季度", "三季度", "上半年", "全年"),
    "thing": ("净利润", "营业收入", "订单量", "现金流", "出货量"),
    "place": ("苏州", "成都", "广东", "武汉", "浙江", "西安"),
    "rate": ("{digit}%", "{digit}.{digit}%", "1{digit}%", "近两成", "超过三成"),
    "sum": ("{digit}.{digit}", "1{digit}", "{digit}", "{digit}0"),
    "count": ("{digit}00", "{digit}50", "近千", "1{digit}00"),
    "digit": tuple("23456789"),
    "before": ("", "", "快讯：", "公告显示，", "据悉，", "记者获悉，"),
    "end": ("。", "。", "", "！"),
}
_MISTAKES = 0.05


def draw_row(draw: random.Random, _day: int) -> Row:
    """A sentence of the news and its judgement."""
    tone = draw.choice(list(_CORES))
    text = fill(draw, f"{{before}}{draw.choice(_CORES[tone])}{{end}}", _WORDS)
    return {"text": text, "sentiment": mistaken(draw, tone, list(_CORES), _MISTAKES)}


EXAMPLE = Example(
    title="Financial news in Chinese: negative, neutral or positive",
    text="text",
    answer="sentiment",
    answers=tuple(_CORES),
    draw=draw_row,
    format="csv",
)
