"""Evaluation of expressions: values that packages contain, Microsoft's examples, the rules of types."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import ExpressionError, evaluate, parse

from .expressions import NOW, expressions, lookup

STAMP = datetime.fromisoformat


def value(text, now=NOW, **variables):
    """Evaluate with variables, each the content of a DT_WSTR or a Value."""

    def look(name):
        found = variables[name.name]
        return found if isinstance(found, Value) else Value(found, DataType.WSTR)

    return evaluate(parse(text), look, now)


def content(text, now=NOW, **variables):
    return value(text, now, **variables).content


def whole(number):
    return Value(number, DataType.I4)


@pytest.mark.parametrize(
    ("text", "now", "result"),
    [
        ("(DT_STR,50,1252)GETDATE()", "2018-04-12 09:49:21.566", "2018-04-12 09:49:21.566000000"),
        ("(DT_STR,10,1252)(DT_DBDATE)GETDATE()", "2020-04-21 10:00:00", "2020-04-21"),
        ("(DT_STR,25,1252)(DT_DATE)GETDATE()", "2020-07-13 14:31:29", "7/13/2020 2:31:29 PM"),
        ("(DT_WSTR,12)@[User::int]", "2020-07-13", "0"),
    ],
)
def test_results_that_packages_contain(text, now, result):
    assert content(text, STAMP(now), int=whole(0)) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("(5 + 5) * (4 + 6)", 100),
        ("5 + 5 * 4 + 6", 31),
        ("25 / 5", 5),
        ("42 % 13", 3),
        ('SUBSTRING("elephant",4,2)', "ph"),
        ('SUBSTRING ("elephant",4,50)', "phant"),
        ('SUBSTRING ("Redmond",4,0)', ""),
        ('RIGHT("Mountain Bike", 4)', "Bike"),
        ('LEN("Ball Bearing")', 12),
        ('REPLICATE("Mountain Bike", 3)', "Mountain BikeMountain BikeMountain Bike"),
        ('REPLACE("Mountain Bike", "Mountain","All Terrain")', "All Terrain Bike"),
        ('TRIM("   New York   ")', "New York"),
        ('FINDSTRING("New York, NY, NY", "NY", 1)', 11),
        ('FINDSTRING("New York, NY, NY", "NY", 3)', 0),
        ('FINDSTRING("Anderson", "n", 2)', 8),
        ('FINDSTRING("Mountain,500Red,42", "42", 1)', 17),
        ('TOKEN("a little white dog"," ",1)', "a"),
        ('TOKEN("a:little|white dog","| ,.:",4)', "dog"),
        ('TOKEN("a little white dog"," ",99)', ""),
        ('TOKEN("a little white dog","|",1)', "a little white dog"),
        ('TOKEN("        a little white dog", " ", 1)', "a"),
        ('TOKENCOUNT("01/12/2011", "/")', 3),
        ('TOKENCOUNT("a:little|white dog","| ,.:")', 4),
        (
            r'TOKEN("c:\\program files\\data\\my.txt", "\\", TOKENCOUNT("c:\\program files\\data\\my.txt", "\\"))',
            "my.txt",
        ),
        ('CODEPOINT("Mountain Bike")', 77),
        ("HEX(400)", "190"),
        ("HEX(750)", "2EE"),
        ("HEX(-1)", "FFFFFFFF"),
        ("ROUND(137.1574,3)", Decimal("137.1570")),
        ("ROUND(137.1575,3)", Decimal("137.1580")),
        ("CEILING(123.74)", Decimal("124.00")),
        ("CEILING(-124.27)", Decimal("-124.00")),
        ("CEILING(0.00)", Decimal("0.00")),
        ("FLOOR(-124.27)", Decimal("-125.00")),
        ("SIGN(-123.45)", -1),
        ("ROUND(LOG(97.34),12)", 1.988291341907),
        ("POWER(4,3)", 64.0),
        ('DATEDIFF("dd", (DT_DBTIMESTAMP)"8/1/2003", (DT_DBTIMESTAMP)"8/8/2003")', 7),
        ('DATEPART("month", (DT_DBTIMESTAMP)"11/04/2002")', 11),
        ('(DT_DBTIMESTAMPOFFSET,3) "1999-10-11 20:34:52.123 -3:30" != (DT_DBDATE)"1999-10-12"', True),
        ('(DT_BOOL)"True"', True),
        ("(DT_I4) 3.57", 3),
        ("(DT_STR,1,1252)5", "5"),
        ("(DT_DECIMAl,2)500", Decimal("500.00")),
        ("(DT_NUMERIC,7,3)4000", Decimal("4000.000")),
        ('(DT_DBDATE) "1999-10-11"', date(1999, 10, 11)),
        ('(DT_DBTIME2, 5) "16:34:52.12345"', time(16, 34, 52, 123450)),
        ('(DT_DBTIMESTAMP2, 4) "1999-10-11 16:34:52.1234"', STAMP("1999-10-11 16:34:52.1234")),
        (
            '(DT_DBTIMESTAMPOFFSET, 6) "1999-10-11 16:34:52.123456 + 5:35"',
            STAMP("1999-10-11 16:34:52.123456").replace(tzinfo=timezone(timedelta(hours=5, minutes=35))),
        ),
        ('"even" == (6 % 2 == 0? "even":"odd")', True),
    ],
)
def test_examples_of_the_reference(text, result):
    assert content(text) == result
    assert type(content(text)) is type(result)


@pytest.mark.parametrize(
    ("text", "data_type"),
    [
        ("1 + 1", DataType.I4),
        ("1 + 1L", DataType.I8),
        ("1 + 1U", DataType.I8),
        ("1U + 1U", DataType.UI4),
        ("(DT_I2)1 + (DT_UI1)1", DataType.I2),
        ("(DT_I1)1 + (DT_UI1)1", DataType.I2),
        ("(DT_DECIMAL,1)1 + (DT_DECIMAL,1)1", DataType.NUMERIC),
        ("1 + 1.5", DataType.NUMERIC),
        ("(DT_CY)1 + (DT_CY)1", DataType.CY),
        ("1.5f + 1.5f", DataType.R4),
        ("1.5f + 1", DataType.R8),
        ("1.5 + 1.5E0", DataType.R8),
        ("-1U", DataType.I8),
        ("~1U", DataType.UI4),
        ("TRUE ? 1 : 1.5", DataType.NUMERIC),
        ('TRUE ? (DT_STR,1,1252)"a" : "b"', DataType.WSTR),
        ('"a" + (DT_STR,1,1252)"b"', DataType.WSTR),
        ('(DT_STR,1,1252)"b"', DataType.STR),
        ('"a" + (DT_NTEXT)"b"', DataType.NTEXT),
        ("TRUE ? GETDATE() : (DT_DBDATE)GETDATE()", DataType.DBTIMESTAMP),
        ("TRUE ? (DT_DATE)GETDATE() : (DT_DBTIMESTAMPOFFSET,2)GETDATE()", DataType.DBTIMESTAMPOFFSET),
        ("GETDATE()", DataType.DBTIMESTAMP),
        ('DATEADD("day",1,(DT_DBDATE)GETDATE())', DataType.DBTIMESTAMP),
        ("ABS(1L)", DataType.I8),
        ("SQUARE(2)", DataType.R8),
        ("SIGN(2.5)", DataType.I4),
        ('CODEPOINT("a")', DataType.UI2),
        ("1 > 2.5", DataType.BOOL),
        ('REPLACENULL((DT_STR,9,1252)"a","b")', DataType.STR),
        ("REPLACENULL(1L,2)", DataType.I8),
    ],
)
def test_types_of_results(text, data_type):
    assert value(text).data_type is data_type


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        ("7 / 2.0", Decimal("3.500000")),
        ("7 / 2E0", 3.5),
        ("10.0 / 3", Decimal("3.333333")),
        ("1.5 * 1.50", Decimal("2.250")),
        ("6 & 3 | 8 ^ 1", 11),
        ("~0U", 4294967295),
        ("~5", -6),
        ("1.0 == 1", True),
        ("0.1 == 0.1E0", True),
        ('"a" == "A"', False),
        ('"a" < "b"', True),
        ("ROUND(2.5,0)", Decimal("3.0")),
        ("ROUND(-2.5E0,0)", -3.0),
        ("ROUND(1.005E0,2)", 1.01),
        ("FLOOR(-1.5E0)", -2.0),
        ('LEN((DT_NTEXT)"abc")', 6),
        ("GETDATE() == (DT_DATE)GETDATE()", True),
        ("(DT_DBDATE)GETDATE() < GETDATE()", True),
    ],
)
def test_operators(text, result):
    assert content(text) == result
    assert type(content(text)) is type(result)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("NULL(DT_I4) + 1", None),
        ('"a" + NULL(DT_WSTR,5)', None),
        ("NULL(DT_I4) == NULL(DT_I4)", None),
        ("-NULL(DT_I4)", None),
        ("!NULL(DT_BOOL)", None),
        ("NULL(DT_BOOL) && TRUE", None),
        ("TRUE && NULL(DT_BOOL)", None),
        ("NULL(DT_BOOL) && FALSE", False),
        ("FALSE && NULL(DT_BOOL)", False),
        ("NULL(DT_BOOL) || TRUE", True),
        ("NULL(DT_BOOL) || FALSE", None),
        ("NULL(DT_BOOL) ? 1 : 2", None),
        ("TRUE ? 1 : NULL(DT_I4)", 1),
        ("FALSE ? 1 : NULL(DT_I4)", None),
        ("ISNULL(NULL(DT_DATE))", True),
        ("ISNULL(1)", False),
        ('REPLACENULL(NULL(DT_WSTR,5), "x")', "x"),
        ('REPLACENULL("y", "x")', "y"),
        ('REPLACENULL(NULL(DT_DBTIMESTAMP), "1900-01-01")', STAMP("1900-01-01")),
        ("UPPER(NULL(DT_WSTR,5))", None),
        ('TOKENCOUNT(NULL(DT_WSTR,5)," ")', 0),
        ("(DT_WSTR,5)NULL(DT_I4)", None),
        ("YEAR(NULL(DT_DATE))", None),
        ("LN(0)", None),
        ("LOG(-1)", None),
        ('CODEPOINT("")', None),
        ("POWER(-8, 0.5)", None),
    ],
)
def test_nulls(text, result):
    assert content(text) is result or content(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("(DT_WSTR,5)TRUE", "True"),
        ("(DT_WSTR,5)FALSE", "False"),
        ("(DT_WSTR,20)-12", "-12"),
        ("(DT_WSTR,20)0.50", ".50"),
        ("(DT_WSTR,20)-0.50", "-.50"),
        ("(DT_WSTR,20)12.50", "12.50"),
        ("(DT_WSTR,20)(DT_DECIMAL,2)0.5", "0.50"),
        ("(DT_WSTR,20)(DT_CY)1.5", "1.5000"),
        ("(DT_WSTR,30)0.1E0", "0.1"),
        ("(DT_WSTR,30)2E0", "2"),
        ("(DT_WSTR,30)1E20", "1E+20"),
        ("(DT_WSTR,30)(1/3E0)", "0.333333333333333"),
        ("(DT_WSTR,30)1.1f", "1.1"),
        ('(DT_WSTR,3)"abcdef"', "abc"),
        ("(DT_WSTR,10)GETDATE()", "2020-07-13"),
        ("(DT_WSTR,30)(DT_DBTIMESTAMP)(DT_DBDATE)GETDATE()", "2020-07-13 00:00:00"),
        ("(DT_WSTR,30)(DT_DATE)(DT_DBDATE)GETDATE()", "7/13/2020"),
        ('(DT_WSTR,30)(DT_DATE)"2020-07-13 00:05:09"', "7/13/2020 12:05:09 AM"),
        ('(DT_WSTR,30)(DT_DATE)"1899-12-30 12:05:09"', "12:05:09 PM"),
        ("(DT_WSTR,30)(DT_DBTIME)GETDATE()", "14:31:29"),
        ("(DT_WSTR,30)(DT_DBTIME2,2)GETDATE()", "14:31:29.56"),
        ("(DT_WSTR,30)(DT_DBTIMESTAMP2,7)GETDATE()", "2020-07-13 14:31:29.5660000"),
        ("(DT_WSTR,30)(DT_DBTIMESTAMP2,0)GETDATE()", "2020-07-13 14:31:29"),
        ('(DT_WSTR,40)(DT_DBTIMESTAMPOFFSET,1)"2020-07-13 14:31:29.56 -3:30"', "2020-07-13 14:31:29.5 -03:30"),
        ("(DT_WSTR,30)(DT_FILETIME)GETDATE()", "2020-07-13 14:31:29:566"),
        ("(DT_I4)TRUE", -1),
        ("(DT_UI1)TRUE", 1),
        ("(DT_I4)-3.99", -3),
        ('(DT_I4)" 12 "', 12),
        ('(DT_R8)"1.5"', 1.5),
        ("(DT_R4)0.1", 0.10000000149011612),
        ("(DT_NUMERIC,10,1)1.99", Decimal("1.9")),
        ("(DT_BOOL)0.0", False),
        ('(DT_BOOL)"FALSE"', False),
        ('(DT_BOOL)"1"', True),
        ("(DT_DBDATE)(DT_DBTIMESTAMPOFFSET,0)GETDATE()", date(2020, 7, 13)),
        ("(DT_DBTIME)GETDATE()", time(14, 31, 29)),
        ('(DT_DBTIME)"2:31:29 PM"', time(14, 31, 29)),
        ('(DT_DBTIMESTAMP)(DT_DBTIME)"12:00:01 AM"', STAMP("2020-07-13 00:00:01")),
        ("(DT_DBTIMESTAMPOFFSET,3)GETDATE()", NOW.replace(tzinfo=UTC)),
    ],
)
def test_casts(text, result):
    assert content(text) == result
    assert type(content(text)) is type(result)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("1 + (2 / 0)", 7, "Division by zero"),
        ("1 % 0", 2, "Modulo zero"),
        ("2147483647 + 1", 11, "2147483648 does not fit into DT_I4"),
        ("-(-2147483647 - 1)", 0, "does not fit into DT_I4"),
        ("0U - 1U", 3, "does not fit into DT_UI4"),
        ("1E300 * 1E300", 6, "does not fit into DT_R8"),
        ("(DT_I2)70000", 0, "70000 does not fit into DT_I2"),
        ("(DT_NUMERIC,3,1)100", 0, "does not fit into DT_NUMERIC with 3 digits, 1 of them decimals"),
        ("(DT_WSTR,2)123", 0, "123 does not fit into 2 characters"),
        ('(DT_I4)"12x"', 0, "'12x' cannot be cast to DT_I4: it is not a number"),
        ('(DT_R8)"nan"', 0, "not a number"),
        ('(DT_BOOL)"yes"', 0, "not a number"),
        ('(DT_DATE)"31.12.2020"', 0, "it does not have the format 2024-12-31 23:59:59"),
        ('(DT_DATE)"2020-02-30"', 0, "it does not have the format"),
        ('(DT_DBTIME)"25:00"', 0, "it does not have the format 23:59:59"),
        ('DATEADD("yy",9000,GETDATE())', 0, "DATEADD of 9000 to 2020-07-13"),
        ('DATEADD("dd",2147483647,GETDATE())', 0, "is out of the range of dates"),
        ('DATEADD("fortnight",1,GETDATE())', 8, "unknown date part 'fortnight'; use one of: year"),
        ('DATEADD("d" + @A,1,GETDATE())', 12, "unknown date part"),
        ("DATEADD(1,1,GETDATE())", 8, "a string that names a date part here, not DT_I4"),
        ('SUBSTRING("a",0,1)', 0, "counts positions from 1"),
        ('LEFT("a",-1)', 0, "cannot return -1 characters"),
        ('REPLACE("a","","b")', 0, "empty text"),
        ('REPLICATE(REPLICATE("a",100000),100000)', 0, "10,000,000,000 characters"),
        ("SQRT(-1)", 0, "no square root"),
        ("POWER(0,-1)", 0, "zero to a negative power"),
        ("EXP(1000)", 0, "EXP does not fit into DT_R8"),
        ("POWER(1000,1000)", 0, "POWER does not fit into DT_R8"),
        ("ROUND(1.5,-1)", 0, "-1 decimals"),
        ('1 + "a"', 2, r"\+ does not apply to DT_I4 and DT_WSTR; cast them to the same type"),
        ('"a" + GETDATE()', 4, "does not apply to DT_WSTR and DT_DBTIMESTAMP"),
        ("GETDATE() - 1", 10, "does not apply to DT_DBTIMESTAMP and DT_I4"),
        ('"7/4/2003" == GETDATE()', 11, "does not apply"),
        ("(DT_DBTIME)GETDATE() == GETDATE()", 21, "does not apply"),
        ("1 && TRUE", 2, "does not apply to DT_I4 and DT_BOOL"),
        ("TRUE < FALSE", 5, "does not apply"),
        ("1.5 % 2", 4, "does not apply"),
        ("1.5 & 2", 4, "does not apply"),
        ("1UL + 1", 4, "does not apply to DT_UI8 and DT_I4"),
        ("!1", 0, "! does not apply to DT_I4"),
        ("~1.5", 0, "~ does not apply to DT_NUMERIC"),
        ('-"a"', 0, "- does not apply to DT_WSTR"),
        ("1 ? 2 : 3", 0, r"must be DT_BOOL, not DT_I4"),
        ('TRUE ? 1 : "a"', 0, r"\? does not apply to DT_I4 and DT_WSTR"),
        ("UPPER(1)", 6, r"UPPER takes a text \(DT_WSTR or DT_STR\) here, not DT_I4"),
        ('LEFT("a",1.5)', 9, "LEFT takes a whole number here, not DT_NUMERIC"),
        ("LEN(1)", 0, "LEN takes a text"),
        ("HEX(1.5)", 0, "HEX takes a whole number"),
        ("YEAR(1)", 5, "YEAR takes a date"),
        ('LEFT("a")', 0, "LEFT takes 2 arguments, not 1"),
        ("GETDATE(1)", 0, "GETDATE takes 0 arguments, not 1"),
        ("NOSUCH(1)", 0, "NOSUCH is not a function"),
        ("(DT_I4)GETDATE()", 0, "no cast from DT_DBTIMESTAMP to DT_I4"),
        ("(DT_DATE)5", 0, "no cast from DT_I4 to DT_DATE"),
        ('(DT_BYTES,5)"a"', 0, "no cast from DT_WSTR to DT_BYTES"),
        ("1 + @[User::Missing]", 4, r"no variable @\[User::Missing\]"),
    ],
)
def test_an_expression_that_ssis_rejects_is_rejected_with_place_and_reason(text, position, reason):
    with pytest.raises(ExpressionError, match=reason) as caught:
        value(text, A="ecade")
    assert position == caught.value.position


def test_property_expressions_of_the_reference():
    """The examples of "Use Property Expressions in Packages", with their results."""
    subject = (
        '"PExpression-->Package: (" + @[System::PackageName] + ") Started:"+  (DT_WSTR, 30) @[System::StartTime] '
        '+ " Duration:"  +  (DT_WSTR,10) (DATEDIFF( "ss", @[System::StartTime] , GETDATE()  )) + " seconds"'
    )
    started = Value(STAMP("2005-03-04 11:06:18"), DataType.DATE)
    assert content(subject, STAMP("2005-03-04 11:06:27.1"), PackageName="EmailRowCountPP", StartTime=started) == (
        "PExpression-->Package: (EmailRowCountPP) Started:3/4/2005 11:06:18 AM Duration:9 seconds"
    )
    message = (
        '"Rows Processed: "  +   "\\n" +"   NASDAQ: "  +   (dt_wstr,9)@[nasdaqrawrows]   + "\\n" + "   NYSE: "  '
        '+  (dt_wstr,9)@[nyserawrows]  + "\\n" + "   Amex: "  +  (dt_wstr,9)@[amexrawrows]'
    )
    rows = {"nasdaqrawrows": whole(7058), "nyserawrows": whole(3528), "amexrawrows": whole(1102)}
    assert content(message, **rows) == "Rows Processed: \n   NASDAQ: 7058\n   NYSE: 3528\n   Amex: 1102"
    logging = "DAY((DT_DBTIMESTAMP)GETDATE())==1||DAY((DT_DBTIMESTAMP)GETDATE())==15?1:2"
    assert [content(logging, STAMP(f"2024-05-{day}")) for day in ("01", "02", "15")] == [1, 2, 1]
    assert content('DATEPART("weekday", GETDATE()) ==2?"notepad.exe":"mspaint.exe"') == "notepad.exe"


def test_a_branch_that_is_not_evaluated_does_not_fail():
    assert content("@X == 0 ? 0 : 10 / @X", X=whole(0)) == 0
    assert content("@X != 0 && 10 / @X > 1", X=whole(0)) is False
    assert content("@X == 0 || 10 / @X > 1", X=whole(0)) is True


def test_an_overflow_inside_an_expression_of_a_wider_type_is_an_error():
    with pytest.raises(ExpressionError, match="2147483648 does not fit into DT_I4"):
        value("SQUARE(2147483647 + 1)")


def test_long_concatenations_do_not_count_as_deep_nesting():
    assert content(" + ".join(['"a"'] * 3000)) == "a" * 3000


def test_texts_that_would_need_too_much_memory_are_rejected():
    with pytest.raises(ExpressionError, match="characters"):
        value(" + ".join(['REPLICATE("a",100000)'] * 1000))


def test_getutcdate_is_the_same_moment_as_getdate():
    assert content("GETUTCDATE()") == NOW.astimezone(UTC).replace(tzinfo=None)


def test_getdate_has_milliseconds():
    assert content("GETDATE()", STAMP("2020-07-13 14:31:29.566789")) == NOW


def test_a_variable_of_a_fraction_is_written_with_its_digits():
    moment = Value(STAMP("2020-07-13 14:31:29.566"), DataType.DBTIMESTAMP2, 2)
    assert content("(DT_WSTR,30)@M", M=moment) == "2020-07-13 14:31:29.56"


@given(expressions)
def test_evaluation_yields_a_value_of_its_type_or_an_expression_error(text):
    pythons = {
        "I": int,
        "U": int,
        "R": float,
        "N": Decimal,
        "C": Decimal,
        "B": bool,
        "W": str,
        "S": str,
    }
    try:
        result = evaluate(parse(text), lookup, NOW)
    except ExpressionError:
        return
    expected = pythons.get(result.data_type.name[0], date | time)
    if result.data_type is DataType.DECIMAL:
        expected = Decimal
    assert result.content is None or isinstance(result.content, expected)
