//! Players that walk about in a square world, and see what is near them.

use patchbay_frame::{Area, Cell};

/// A cell's side is 1; a player sees so many cells in each direction.
const SIGHT: i16 = 2;
/// Cells in a second.
const SPEED: f64 = 1.0;
/// The side of a world in which 200 players have 20 neighbours each, borders considered.
const SIDE_FOR_200: f64 = 14.0;

/// One player's place.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    side: f64,
    x: f64,
    y: f64,
    heading: f64,
    random: u64,
}

impl Walk {
    /// Somewhere in a world for so many players, and in a direction that depend on the index alone.
    pub(crate) fn new(index: usize, players: usize) -> Self {
        let side = (SIDE_FOR_200 * (players as f64 / 200.0).sqrt()).round().max(1.0);
        let mut walk = Self { side, x: 0.0, y: 0.0, heading: 0.0, random: 1 + index as u64 };
        // Neighbouring seeds begin alike.
        for _ in 0..8 {
            walk.draw();
        }
        (walk.x, walk.y) = (walk.draw() * side, walk.draw() * side);
        walk.heading = walk.draw() * std::f64::consts::TAU;
        walk
    }

    /// Walks for so many seconds, turning a little, and back at the borders.
    pub(crate) fn go(&mut self, seconds: f64) {
        self.heading += (self.draw() - 0.5) * seconds;
        self.x += self.heading.cos() * SPEED * seconds;
        self.y += self.heading.sin() * SPEED * seconds;
        let (x, y) = (self.x.clamp(0.0, self.side - 0.001), self.y.clamp(0.0, self.side - 0.001));
        if (x, y) != (self.x, self.y) {
            (self.x, self.y) = (x, y);
            self.heading += std::f64::consts::PI * (0.5 + self.draw());
        }
    }

    /// Where it is.
    pub(crate) fn cell(&self) -> Cell {
        Cell { x: self.x as i16, y: self.y as i16 }
    }

    /// What it sees from a cell.
    pub(crate) fn sight(cell: Cell) -> Area {
        let from = Cell { x: cell.x - SIGHT, y: cell.y - SIGHT };
        Area { from, to: Cell { x: cell.x + SIGHT, y: cell.y + SIGHT } }
    }

    /// From 0 to 1 (xorshift64*).
    fn draw(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_twenty_neighbours_wherever_they_walk() {
        for players in [50, 200, 400] {
            let mut walks: Vec<Walk> = (0..players).map(|index| Walk::new(index, players)).collect();
            let mut crossed = 0;
            for second in 0..60 {
                let seen: usize = walks
                    .iter()
                    .map(|one| walks.iter().filter(|it| Walk::sight(one.cell()).contains(it.cell())).count())
                    .sum();
                let neighbours = seen as f64 / players as f64 - 1.0;
                assert!((13.0..28.0).contains(&neighbours), "{neighbours} of {players} after {second} s");
                for walk in &mut walks {
                    let before = walk.cell();
                    (0..30).for_each(|_| walk.go(1.0 / 30.0));
                    crossed += usize::from(before != walk.cell());
                }
            }
            assert!(crossed > players * 20, "they move");
        }
    }
}
