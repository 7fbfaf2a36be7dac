//! Tables of numbers as text.

use cryptflow_arrays::csv::{CsvError, Table, read_csv};

#[test]
fn what_is_a_table_of_numbers() {
    let rows = |columns, data: &[f32]| Ok(Table { columns, data: data.to_vec() });
    let cell = |line, column, cell: &str| Err(CsvError::Cell { line, column, cell: cell.into() });
    let table: [(&str, Result<Table, CsvError>); 18] = [
        ("1,2\n3,4\n", rows(2, &[1.0, 2.0, 3.0, 4.0])),
        ("1,2\r\n3,4", rows(2, &[1.0, 2.0, 3.0, 4.0])),
        ("age,weight\n1,-2.5e1\n", rows(2, &[1.0, -25.0])),
        ("\u{feff}\"age, in years\",\"w\"\n\"1\", 2 \n\n", rows(2, &[1.0, 2.0])),
        ("1;2\n3;4", rows(2, &[1.0, 2.0, 3.0, 4.0])),
        ("1\t2\n", rows(2, &[1.0, 2.0])),
        ("5\n6\n", rows(1, &[5.0, 6.0])),
        // What is no number of a row is found later, by its name.
        ("nan,inf", rows(2, &[f32::NAN, f32::INFINITY])),
        ("", Err(CsvError::Empty)),
        ("\n \n", Err(CsvError::Empty)),
        ("age,weight\n", Err(CsvError::Empty)),
        ("1,2\n3\n", Err(CsvError::Columns { line: 2, found: 1, needed: 2 })),
        ("a,b\n1,2\n\n3,4,5", Err(CsvError::Columns { line: 4, found: 3, needed: 2 })),
        ("a,b\n1,male", cell(2, 2, "male")),
        ("1,2\n,4", cell(2, 1, "")),
        (",2\n3,4", cell(1, 1, "")),
        ("1;2\n3;0,5", cell(2, 2, "0,5")),
        ("a\n1\n\"", cell(3, 1, "")),
    ];
    for (text, wanted) in table {
        let found = read_csv(text.as_bytes());
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{text:?}");
    }
    assert_eq!(read_csv(b"a\n\xff\n"), Err(CsvError::Encoding));
    let said = read_csv(b"1;2\n3;0,5").unwrap_err().to_string();
    assert!(said.contains("line 2, column 2") && said.contains("0.5, not 0,5"), "{said}");
}
