//! Comma-separated values as Go's `encoding/csv` reads them, with its texts.
//!
//! Quotes may hold commas, doubled quotes and line breaks; a quote anywhere else is an error.
//! Empty lines are passed over.

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Pass over blanks before a field.
    pub trim_leading_space: bool,
    /// How many fields a record must have; unset, as many as the first one has.
    pub fields: Option<usize>,
}

/// What is wrong with the text. Lines and columns (in bytes) are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A record has too many or too few fields.
    #[error("record on line {0}: wrong number of fields")]
    FieldCount(usize),
    /// A quote within a field that does not begin with one.
    #[error("parse error on line {line}, column {column}: bare \" in non-quoted-field")]
    BareQuote {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A quoted field that does not end, or goes on after its quote.
    #[error("{}: extraneous or missing \" in quoted-field", place(*.begun, *.line, *.column))]
    Quote {
        /// The line that the record begins in.
        begun: usize,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

fn place(begun: usize, line: usize, column: usize) -> String {
    if begun == line {
        format!("parse error on line {line}, column {column}")
    } else {
        format!("record on line {begun}; parse error on line {line}, column {column}")
    }
}

/// Reads all records.
pub fn read(text: &str, rules: Rules) -> Result<Vec<Vec<String>>, CsvError> {
    let mut reader = Reader {
        // Line breaks of two characters become one, also within quotes.
        lines: text.split_inclusive('\n').map(ending_in_one).collect(),
        next: 0,
        trim: rules.trim_leading_space,
    };
    let mut records = Vec::new();
    let mut fields = rules.fields;
    while let Some((line, record)) = reader.record()? {
        if *fields.get_or_insert(record.len()) != record.len() {
            return Err(CsvError::FieldCount(line));
        }
        records.push(record);
    }
    Ok(records)
}

fn ending_in_one(line: &str) -> String {
    match line.strip_suffix("\r\n") {
        Some(rest) => format!("{rest}\n"),
        // At the end of the text, a lone carriage return counts as the rest of a line break.
        None => line.strip_suffix('\r').unwrap_or(line).to_owned(),
    }
}

struct Reader {
    lines: Vec<String>,
    next: usize,
    trim: bool,
}

impl Reader {
    fn line(&mut self) -> Option<String> {
        let line = self.lines.get(self.next)?.clone();
        self.next += 1;
        Some(line)
    }

    /// The next record and the line that it begins in.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, CsvError> {
        let mut line = loop {
            match self.line() {
                None => return Ok(None),
                Some(line) if line == "\n" || line.is_empty() => {}
                Some(line) => break line,
            }
        };
        let begun = self.next;
        let mut column = 0;
        let mut record = Vec::new();
        loop {
            if self.trim {
                let rest = line[column..].trim_start_matches(|c: char| c.is_whitespace());
                column = line.len() - rest.len();
            }
            if line[column..].starts_with('"') {
                let (field, ended) = self.quoted(begun, &mut line, &mut column)?;
                record.push(field);
                if ended {
                    return Ok(Some((begun, record)));
                }
                continue;
            }
            let rest = &line[column..];
            let end = rest.find(',');
            let field = end.map_or(rest, |end| &rest[..end]);
            let field = field.strip_suffix('\n').unwrap_or(field);
            if let Some(quote) = field.find('"') {
                return Err(CsvError::BareQuote {
                    line: self.next,
                    column: column + quote + 1,
                });
            }
            record.push(field.to_owned());
            match end {
                Some(end) => column += end + 1,
                None => return Ok(Some((begun, record))),
            }
        }
    }

    /// A quoted field, and whether it ends the record. Moves on to the line that it ends in.
    fn quoted(
        &mut self,
        begun: usize,
        line: &mut String,
        column: &mut usize,
    ) -> Result<(String, bool), CsvError> {
        let mut field = String::new();
        *column += 1;
        loop {
            let rest = &line[*column..];
            let Some(quote) = rest.find('"') else {
                field.push_str(rest);
                let Some(next) = self.line() else {
                    return Err(CsvError::Quote {
                        begun,
                        line: self.next,
                        column: line.len() + 1,
                    });
                };
                *line = next;
                *column = 0;
                continue;
            };
            field.push_str(&rest[..quote]);
            *column += quote + 1;
            match &line[*column..] {
                after if after.starts_with('"') => {
                    field.push('"');
                    *column += 1;
                }
                after if after.starts_with(',') => {
                    *column += 1;
                    return Ok((field, false));
                }
                "" | "\n" => return Ok((field, true)),
                _ => {
                    return Err(CsvError::Quote {
                        begun,
                        line: self.next,
                        column: *column,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, rules: Rules) -> String {
        match read(text, rules) {
            Ok(records) => records
                .iter()
                .map(|record| record.join("|"))
                .collect::<Vec<_>>()
                .join(";"),
            Err(error) => error.to_string(),
        }
    }

    /// What Go prints for these texts.
    #[test]
    fn reads_as_go_does() {
        let three = Rules {
            trim_leading_space: true,
            fields: Some(3),
        };
        for (text, want) in [
            ("", ""),
            ("a,b,c", "a|b|c"),
            ("a, b,\tc\r\n\r\nd,e,f\r\n", "a|b|c;d|e|f"),
            ("a,b\n", "record on line 1: wrong number of fields"),
            ("a,b,c\nd\n", "record on line 2: wrong number of fields"),
            ("  \n", "record on line 1: wrong number of fields"),
            ("\"a,\"\"b\",c,d\n", "a,\"b|c|d"),
            ("\"a\r\nb\",c,d\r\n", "a\nb|c|d"),
            (
                "a\"b,c,d\n",
                "parse error on line 1, column 2: bare \" in non-quoted-field",
            ),
            (
                "é\"x,b,c\n",
                "parse error on line 1, column 3: bare \" in non-quoted-field",
            ),
            (
                "\"a\"b,c,d\n",
                "parse error on line 1, column 3: extraneous or missing \" in quoted-field",
            ),
            (
                "\"a,c,d",
                "parse error on line 1, column 7: extraneous or missing \" in quoted-field",
            ),
            (
                "\"a,c,d\n",
                "parse error on line 1, column 8: extraneous or missing \" in quoted-field",
            ),
            (
                "x,y,z\nq,\"a\nb\nc,d\n",
                "record on line 2; parse error on line 4, column 5: extraneous or missing \" in quoted-field",
            ),
            (
                "\"é\nz\"y,b,c\n",
                "record on line 1; parse error on line 2, column 2: extraneous or missing \" in quoted-field",
            ),
            ("a,b,\"\"", "a|b|"),
            ("a, \"b\",c", "a|b|c"),
            ("a,b,c\r", "a|b|c"),
            ("a\rb,c, \n", "a\rb|c|"),
        ] {
            assert_eq!(shown(text, three), want, "{text:?}");
        }
    }

    #[test]
    fn without_rules_blanks_and_any_count_are_kept() {
        let any = Rules::default();
        assert_eq!(shown(" a,b , c", any), " a|b | c");
        assert_eq!(shown("  \n", any), "  ");
        assert_eq!(
            shown("a, \"b\"", any),
            "parse error on line 1, column 4: bare \" in non-quoted-field"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[a\",\r\n é]{0,24}", trim: bool) {
            let _ = read(&text, Rules { trim_leading_space: trim, fields: None });
        }
    }
}
