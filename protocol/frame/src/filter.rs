//! What a receiver wants to hear in *interest* mode.

use crate::reader::{Reader, key_len, write_key};
use crate::{FrameError, limit};

const KEY: u8 = 1;
const PREFIX: u8 = 2;
const AREA: u8 = 3;

/// A cell of the grid: where something is. What a cell measures is the application's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cell {
    /// Column.
    pub x: i16,
    /// Row.
    pub y: i16,
}

/// A rectangle of cells, with its borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area {
    /// The corner with the lowest numbers.
    pub from: Cell,
    /// The corner with the highest numbers.
    pub to: Cell,
}

impl Area {
    /// Whether a cell lies in it.
    pub fn contains(&self, cell: Cell) -> bool {
        (self.from.x..=self.to.x).contains(&cell.x) && (self.from.y..=self.to.y).contains(&cell.y)
    }

    /// How many cells it has; 0 if its corners are the wrong way round.
    pub fn cells(&self) -> u64 {
        let side = |from: i16, to: i16| u64::try_from(i32::from(to) - i32::from(from) + 1).unwrap_or(0);
        side(self.from.x, self.to.x) * side(self.from.y, self.to.y)
    }
}

/// One thing that a receiver wants. A message is delivered if one of the receiver's filters matches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter<'a> {
    /// Messages with this key. A message without one has the empty key.
    Key(&'a str),
    /// Messages whose key begins so. The empty prefix matches everything.
    Prefix(&'a str),
    /// Messages with a cell in this rectangle.
    Area(Area),
}

impl<'a> Filter<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        match reader.u8()? {
            KEY => Ok(Self::Key(reader.key()?)),
            PREFIX => Ok(Self::Prefix(reader.key()?)),
            AREA => {
                let from = Cell { x: reader.i16()?, y: reader.i16()? };
                let to = Cell { x: reader.i16()?, y: reader.i16()? };
                let area = Area { from, to };
                if area.cells() == 0 { Err(FrameError::BadFilter) } else { Ok(Self::Area(area)) }
            }
            _ => Err(FrameError::BadFilter),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(key) => {
                out.push(KEY);
                write_key(key, out);
            }
            Self::Prefix(prefix) => {
                out.push(PREFIX);
                write_key(prefix, out);
            }
            Self::Area(Area { from, to }) => {
                out.push(AREA);
                for number in [from.x, from.y, to.x, to.y] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Key(text) | Self::Prefix(text) => 1 + key_len(text),
            Self::Area(_) => 9,
        }
    }
}

/// A list of filters: either as it came, or as it is to be written.
#[derive(Debug, Clone, Copy)]
pub enum Filters<'a> {
    /// As it came. Every filter was read once and is valid.
    Read(ReadFilters<'a>),
    /// To be written.
    List(&'a [Filter<'a>]),
}

/// Filters that were read.
#[derive(Debug, Clone, Copy)]
pub struct ReadFilters<'a>(Reader<'a>);

impl<'a> Filters<'a> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Filter<'a>> {
        let (mut reader, list) = match self {
            Self::Read(read) => (read.0, &[][..]),
            Self::List(list) => (Reader(&[]), *list),
        };
        let read = std::iter::from_fn(move || Filter::read(&mut reader).ok());
        read.chain(list.iter().copied())
    }

    pub(crate) fn read(reader: Reader<'a>) -> Result<Self, FrameError> {
        let mut rest = reader;
        let mut count = 0;
        while !rest.0.is_empty() {
            Filter::read(&mut rest)?;
            count += 1;
            if count > limit::FILTERS {
                return Err(FrameError::BadFilter);
            }
        }
        Ok(Self::Read(ReadFilters(reader)))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|filter| filter.write(out));
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().map(|filter| filter.len()).sum()
    }
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
