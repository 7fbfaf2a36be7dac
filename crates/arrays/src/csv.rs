//! Tables of numbers as text: a line a row, with commas, semicolons or tabs between the numbers.

/// A table of numbers, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Numbers of a row; the same for each.
    pub columns: usize,
    /// The numbers; as many as there are rows, times `columns`.
    pub data: Vec<f32>,
}

/// Why a text is no table of numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text: save it as \"CSV UTF-8\"")]
    Encoding,
    /// There is no row in it.
    #[error("it holds no row of numbers")]
    Empty,
    /// A row of another length than those before it.
    #[error("line {line} has {found} columns, and those before it have {needed}")]
    Columns {
        /// Counted from 1.
        line: usize,
        /// Columns of this row.
        found: usize,
        /// Columns of the rows before it.
        needed: usize,
    },
    /// A cell without a number.
    #[error("line {line}, column {column} holds {cell:?}, which is no number{}", hint(cell))]
    Cell {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is in it, or the beginning of that.
        cell: String,
    },
}

fn hint(cell: &str) -> &'static str {
    match cell {
        "" => ": give every cell one, as the model was trained with",
        cell if cell.contains(',') => ": write 0.5, not 0,5",
        _ => {
            ": leave away what the model does not take, and write categories as the numbers that it was trained with"
        }
    }
}

/// Characters of a cell that a message shows.
const SHOWN: usize = 40;

/// Reads a table. Its first line may name the columns: it does where one of its cells is no number.
///
/// # Errors
/// See [`CsvError`].
pub fn read_csv(bytes: &[u8]) -> Result<Table, CsvError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(text).map_err(|_| CsvError::Encoding)?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let Some(&(_, first)) = lines.peek() else { return Err(CsvError::Empty) };
    // A decimal comma stands between semicolons or tabs.
    let separator = [';', '\t'].into_iter().find(|&mark| first.contains(mark)).unwrap_or(',');
    if cells(first, separator).any(|cell| !cell.is_empty() && cell.parse::<f32>().is_err()) {
        lines.next();
    }
    let mut table = Table { columns: 0, data: Vec::new() };
    for (index, line) in lines {
        let before = table.data.len();
        for (column, cell) in cells(line, separator).enumerate() {
            let number = cell.parse::<f32>().map_err(|_| CsvError::Cell {
                line: index + 1,
                column: column + 1,
                cell: cell.chars().take(SHOWN).collect(),
            })?;
            table.data.push(number);
        }
        let found = table.data.len() - before;
        if before == 0 {
            table.columns = found;
        } else if found != table.columns {
            return Err(CsvError::Columns { line: index + 1, found, needed: table.columns });
        }
    }
    if table.data.is_empty() { Err(CsvError::Empty) } else { Ok(table) }
}

/// The cells of a line, without space and quotes around them. A separator within quotes is none.
fn cells(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let between = move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    };
    line.split(between).map(|cell| cell.trim().trim_matches('"').trim())
}
