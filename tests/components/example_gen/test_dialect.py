import pytest

from components.example_gen.dialect import Dialect, sniff_dialect


def sniff(sample, wanted=("text", "label"), delimiter=None, is_tsv=False):
    return sniff_dialect(sample, True, wanted, delimiter, is_tsv)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_among_prose(delimiter):
    rows = ["text,label", '"well, yes; no | maybe\tso",1', "plain,0", '"more, and, more, commas",1']
    sample = "\n".join(row if '"' in row else row.replace(",", delimiter) for row in rows)
    sample = sample.replace('",', f'"{delimiter}')
    assert sniff(sample) == Dialect(delimiter)


def test_the_users_delimiter_is_not_questioned():
    assert sniff("text,a:label\n1,2:3\n", delimiter=":").delimiter == ":"


@pytest.mark.parametrize(("end", "newline"), [("\n", "\n"), ("\r\n", "\n"), ("\r", "\r")])
def test_the_first_line_end_outside_quotes_ends_lines(end, newline):
    assert sniff(f'"te\rxt",label{end}"a\n\r\nb",1{end}').newline == newline


def test_backslashes_may_escape_quotes():
    assert sniff('text,label\n"he said \\"no, never\\", twice",1\n"x",0\n').escapechar == "\\"


def test_a_backslash_before_a_closing_quote_is_text():
    assert sniff('text,label\n"C:\\",1\n"D:\\",0\n').escapechar is None
    assert sniff('text,label\n"","\\","too many"\n').escapechar is None


def test_spaces_after_delimiters_are_skipped_before_quotes():
    assert sniff('text, label\n"a, b", "1"\n"c", "0, 1"\n').skipinitialspace


def test_single_quotes_may_enclose():
    assert sniff("'text','label'\n'a, b','1'\n").quotechar == "'"


def test_a_table_without_quoting_keeps_its_quotes():
    sample = 'text\tlabel\n"half open\t1\n5" pipe\t0\n"another\t1\nplain\t0\n'
    assert sniff(sample, is_tsv=True) == Dialect("\t", quotechar=None)


def test_one_broken_row_does_not_turn_quoting_off():
    rows = "".join(f'"text {row}",1\n' for row in range(50))
    assert sniff(f'text,label\n"half open,1\n{rows}').quotechar == '"'


def test_one_column_reads_with_commas():
    assert sniff("text\na\nb\n", wanted=("text",)) == Dialect()
