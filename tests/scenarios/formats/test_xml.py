"""The XML reader: places, typed attributes, and one clear error for everything that is not a readable file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.xml import parse_xml, read_xml


def test_elements_know_where_they_are():
    root = parse_xml(b'<a>\n  <b x="1"/>\n    <c/></a>', file="f.xml")
    assert [(child.tag, child.line, child.column) for child in root.children] == [("b", 2, 3), ("c", 3, 5)]


def test_walk_is_in_file_order():
    root = parse_xml(b"<a><b><c/></b><d/></a>", file="f.xml")
    assert [element.tag for element in root.walk()] == ["a", "b", "c", "d"]


def test_namespace_prefix_is_left_out():
    assert parse_xml(b'<n:a xmlns:n="x"><n:b/></n:a>', file="f").child("b") is not None


def test_text_inside():
    assert parse_xml(b"<a> hello <b/> </a>", file="f").body == "hello"


@pytest.mark.parametrize("raw", ["nan", "inf", "-inf", "1,5", "", "0x10", "1e999", "1_0"])
def test_bad_numbers_are_named_with_place_and_value(raw):
    root = parse_xml(f'<a>\n <b s="{raw}"/></a>'.encode(), file="f.xml")
    with pytest.raises(InputError) as caught:
        root.children[0].number("s")
    assert str(caught.value).startswith("f.xml:2:2: ")
    assert repr(raw) in str(caught.value)
    assert caught.value.fix


def test_number_minimum_and_default():
    element = parse_xml(b'<a s="-1"/>', file="f")
    assert element.number("t", 3.0) == 3.0
    with pytest.raises(InputError, match="at least 0"):
        element.number("s", minimum=0.0)


def test_missing_attribute_names_the_nearest():
    with pytest.raises(InputError, match="'lenght'"):
        parse_xml(b'<a lenght="1"/>', file="f").number("length")


def test_choice_lists_the_options():
    with pytest.raises(InputError, match="one of: start, end"):
        parse_xml(b'<a at="middle"/>', file="f").choice("at", ("start", "end"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<a><b></a>", "mismatched tag"),
        (b"<a", "unclosed token"),
        (b"\x00\x01\x02\xff\xfe", "not well-formed"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-9"?><a/>', "encoding"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "entity"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "entity"),
        (b"<a>" * 1000 + b"</a>" * 1000, "nested deeper"),
        (b"just text", "not well-formed|syntax error"),
    ],
)
def test_unreadable_data(data, what):
    with pytest.raises(InputError, match=what) as caught:
        parse_xml(data, file="f.xml")
    assert str(caught.value).startswith("f.xml")


def test_broken_xml_names_line_and_column():
    with pytest.raises(InputError) as caught:
        parse_xml(b"<a>\n<b>\n</a>", file="f.xml")
    assert (caught.value.line, caught.value.column) == (3, 3)


def test_missing_file_names_the_nearest(tmp_path: Path):
    (tmp_path / "town.xodr").write_text("<a/>")
    with pytest.raises(InputError, match=r"Did you mean 'town\.xodr'"):
        read_xml(tmp_path / "tovn.xodr")


def test_directory_and_wrong_root(tmp_path: Path):
    with pytest.raises(InputError, match="directory"):
        read_xml(tmp_path)
    (tmp_path / "a.xml").write_text("<a/>")
    with pytest.raises(InputError, match="root element must be <OpenDRIVE>"):
        read_xml(tmp_path / "a.xml", root="OpenDRIVE")


def test_impossible_path():
    with pytest.raises(InputError):
        read_xml("a\x00b")


def test_error_survives_pickling():
    error = parse_xml(b"<a/>", file="f").error("bad", "fix it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
