"""Files from before Unicode are read by the encoding that they are in; which one is told, and another can be chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data import legacy
from engine.data.doctor import examine
from engine.data.finding import Finding
from engine.data.sources import load
from engine.data.table import Table
from engine.errors import Refused
from engine.spec import DataSpec, RunSpec
from engine.spec import from_json as spec_from
from engine.spec import to_json as spec_to
from ui import doctor as page

SAID = {
    "Russian": ("Отличный телефон, очень доволен покупкой", "Ужасное качество, не советую никому", "Доставка быстрая, упаковка целая"),
    "Ukrainian": ("Чудовий телефон, дуже задоволений", "Жахлива якість, нікому не раджу", "Доставка швидка, її упаковка ціла"),
    "Polish": ("Świetny telefon, jestem bardzo zadowolony", "Okropna jakość, nikomu nie polecam", "Żadnych uszkodzeń, dotarła w środę"),
    "Czech": ("Skvělý telefon, jsem velmi spokojený", "Hrozná kvalita, nikomu nedoporučuji", "Rychlé doručení, příště znovu"),
    "Hungarian": ("Nagyszerű telefon, elégedett vagyok", "Szörnyű minőség, senkinek sem ajánlom", "Gyors szállítás, őrült jó"),
    "Greek": ("Εξαιρετικό τηλέφωνο, πολύ ευχαριστημένος", "Απαίσια ποιότητα, δεν το συνιστώ", "Γρήγορη παράδοση"),
    "Turkish": ("Harika telefon, çok memnun kaldım", "Berbat kalite, kimseye önermiyorum", "Hızlı kargo, sağlam paket, işte böyle"),
    "Hebrew": ("טלפון מצוין, אני מאוד מרוצה מהקנייה", "איכות נוראית, לא ממליץ לאף אחד", "משלוח מהיר ואריזה שלמה"),
    "Arabic": ("هاتف رائع وأنا سعيد جدا بالشراء", "جودة سيئة للغاية لا أنصح أحدا به", "توصيل سريع وتغليف سليم"),
    "Thai": ("โทรศัพท์ดีมาก พอใจกับการซื้อมาก", "คุณภาพแย่มาก ไม่แนะนำให้ใครซื้อ", "จัดส่งรวดเร็ว"),
    "Japanese": ("素晴らしい電話で、とても満足しています", "ひどい品質で、誰にもお勧めしません", "配送が早く、梱包も完璧でした"),
    "simplified Chinese": ("非常好的手机，我对这次购买很满意", "质量太差，不推荐给任何人", "发货很快，包装完好"),
    "traditional Chinese": ("非常好的手機，我對這次購買很滿意", "品質太差，不推薦給任何人", "發貨很快，包裝完好"),
    "Korean": ("정말 좋은 전화기이고 구매에 매우 만족합니다", "품질이 끔찍해서 추천하지 않습니다", "배송이 빠르고 포장이 완벽했습니다"),
    "French": ("Un téléphone génial, très satisfait de l’achat", "Qualité épouvantable, à éviter", "Livraison rapide, ça marche très bien"),
    "German": ("Großartiges Telefon, für jeden schön", "Schreckliche Qualität", "Schnelle Lieferung, süße Verpackung"),
    "Spanish": ("¡Qué teléfono! ¿Por qué no lo compré antes?", "Calidad pésima, ningún niño", "Envío rápido, señor muy amable"),
    "Icelandic": ("Frábær sími, mjög ánægður", "Hræðileg gæði, mæli ekki með þessu", "Hröð afhending, það var gott"),
    "Lithuanian": ("Puikus telefonas, labai džiaugiuosi", "Siaubinga kokybė", "Greitas pristatymas, šaunu, ąžuolinė dėžė"),
}
WRITTEN = (
    ("Russian", "cp1251"), ("Russian", "koi8_r"), ("Russian", "cp866"), ("Russian", "iso8859_5"), ("Ukrainian", "cp1251"),
    ("Polish", "cp1250"), ("Polish", "iso8859_2"), ("Czech", "cp1250"), ("Czech", "iso8859_2"), ("Hungarian", "cp1250"),
    ("Greek", "cp1253"), ("Turkish", "cp1254"), ("Hebrew", "cp1255"), ("Arabic", "cp1256"), ("Thai", "cp874"), ("Japanese", "cp932"),
    ("Japanese", "euc_jp"), ("simplified Chinese", "gb18030"), ("traditional Chinese", "cp950"), ("Korean", "cp949"),
    ("French", "cp1252"), ("German", "cp1252"), ("Spanish", "cp1252"), ("Spanish", "mac_roman"), ("Icelandic", "cp1252"),
    ("Lithuanian", "cp1257"),
)  # fmt: skip


def saved(folder: Path, texts: tuple[str, ...], codec: str, times: int = 5) -> DataSpec:
    path = folder / "reviews.csv"
    lines = [f'"{text} {at}",{("good", "bad")[at % 2]}' for at in range(times) for text in texts]
    path.write_bytes(("text,label\n" + "\n".join(lines) + "\n").encode(codec))
    return DataSpec(f"file:{path}", text="text", label="label")


def opened(folder: Path, data: DataSpec) -> tuple[Table, Finding]:
    table, test = load(data, home=folder)
    return table, next(one for one in examine(table, test, data).findings if one.id == "encoding")


@pytest.mark.parametrize(("language", "codec"), WRITTEN)
@pytest.mark.parametrize("times", [1, 20])
def test_a_file_is_read_by_its_encoding_which_is_told(tmp_path: Path, language: str, codec: str, times: int) -> None:
    table, told = opened(tmp_path, saved(tmp_path, SAID[language], codec, times))
    assert table.column("text").to_pylist()[: len(SAID[language])] == [f"{text} 0" for text in SAID[language]]
    assert told.title == f"Read as {legacy.WORDS[codec]}"
    assert len(told.remedies) == 3
    assert codec not in {one.encoding for one in told.remedies}
    assert told.examples


def test_another_encoding_is_chosen_by_a_click_and_given_up_by_another(tmp_path: Path) -> None:
    data = saved(tmp_path, SAID["Russian"], "cp1251")
    _, told = opened(tmp_path, data)
    spec = RunSpec(data, "model")
    made = page.changed(spec, json.dumps({"fixes": [], "settings": {}, "second": "", "encoding": "koi8_r"}))
    assert made.data.encoding == "koi8_r"
    assert spec_from(spec_to(made)) == made
    table, told = opened(tmp_path, made.data)
    assert table.column("text")[0].as_py() != f"{SAID['Russian'][0]} 0"
    assert told.harm == 1
    assert [one.encoding for one in told.remedies] == [""]
    again = page.changed(made, json.dumps({"encoding": ""}))
    assert again.data == data
    assert page.changed(made, json.dumps({"encoding": ["x"]})).data == page.changed(made, json.dumps({"encoding": "x"})).data == made.data


def test_unicode_is_beyond_doubt_whatever_is_chosen(tmp_path: Path) -> None:
    for codec in ("utf-8", "utf-8-sig", "utf-16"):
        data = replace(saved(tmp_path, SAID["Russian"], codec), encoding="cp932")
        table, test = load(data, home=tmp_path)
        assert table.column("text")[0].as_py() == f"{SAID['Russian'][0]} 0"
        assert "encoding" not in {one.id for one in examine(table, test, data).findings}


def test_an_encoding_that_is_none_is_told(tmp_path: Path) -> None:
    data = saved(tmp_path, SAID["Russian"], "cp1251")
    with pytest.raises(Refused, match="no encoding 'klingon'"):
        load(replace(data, encoding="klingon"), home=tmp_path)


def test_json_lines_are_read_by_their_encoding_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": text, "label": "ab"[at % 2]} for at, text in enumerate(SAID["Japanese"] * 5)]
    path.write_bytes("\n".join(json.dumps(one, ensure_ascii=False) for one in rows).encode("cp932"))
    table, told = opened(tmp_path, DataSpec(f"file:{path}"))
    assert table.column("text")[0].as_py() == SAID["Japanese"][0]
    assert told.title == "Read as Japanese (Shift-JIS)"


def test_damaged_signs_in_english_make_no_other_script_of_it(shared_data: Path) -> None:
    table, told = opened(shared_data, DataSpec(f"file:{shared_data / 'messy/spam.csv'}"))
    assert (table.encodings[0], told.harm) == ("cp1252", 1)


def test_bytes_that_fit_no_encoding_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(tmp_path, SAID["Russian"], "cp1251")
    monkeypatch.setattr(legacy, "judged", lambda _: None)
    with pytest.raises(Refused, match="encoding that is not known") as told:
        load(data, home=tmp_path)
    assert "Choose its encoding" in told.value.problems[0].fix
