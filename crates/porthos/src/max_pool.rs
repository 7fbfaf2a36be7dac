//! Maximum over windows: max(a, b) = b + ReLU(a − b), in a tournament. As many comparisons as in a
//! chain, fewer rounds.

use cryptflow_mpc::{Cost, Error};
use cryptflow_ring::{GeometryError, Window, taps};
use rayon::prelude::*;

use crate::PorthosCosts;
use crate::session::Session;
use crate::share::Share;

/// For each tap of the window, the element that each output position sees there. Padding is
/// replaced by an element that the window sees anyhow.
fn tap_lists(
    [batch, height, width, channels]: [usize; 4],
    window: &Window,
) -> Result<Vec<Vec<usize>>, GeometryError> {
    let along = |axis: usize, extent| {
        taps(extent, window.kernel[axis], window.stride[axis], window.dilation[axis], window.padding[axis])
    };
    let (rows, columns) = (along(0, height)?, along(1, width)?);
    let mut lists = Vec::new();
    for (ky, kx) in (0..window.kernel[0]).flat_map(|y| (0..window.kernel[1]).map(move |x| (y, x))) {
        let mut list = Vec::with_capacity(batch * rows.len() * columns.len() * channels);
        for image in 0..batch {
            for row in &rows {
                for column in &columns {
                    let at = ((image * height + row[ky]) * width + column[kx]) * channels;
                    list.extend(at..at + channels);
                }
            }
        }
        lists.push(list);
    }
    Ok(lists)
}

/// How many pairs there are in each level of a tournament of `players`.
fn levels(mut players: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let pairs = players / 2;
        players -= pairs;
        (pairs > 0).then_some(pairs)
    })
}

impl<const L: u32> Session<L> {
    pub(crate) fn max_pool(&mut self, x: &Share, input: [usize; 4], window: &Window) -> Result<Share, Error> {
        if input.iter().product::<usize>() != x.len {
            let reason = format!("a pool of the shape {input:?} is given {} elements", x.len);
            return Err(GeometryError::Mismatch(reason).into());
        }
        let lists = tap_lists(input, window)?;
        let len = lists.first().map_or(0, Vec::len);
        let mut players: Vec<Vec<u64>> = match self.is_dealer() {
            true => vec![Vec::new(); lists.len()],
            false => lists.iter().map(|list| list.par_iter().map(|&i| x.data[i]).collect()).collect(),
        };
        planted!(self.tuning, RewoundTournament: self.mark());
        for pairs in levels(players.len()) {
            planted!(self.tuning, RewoundTournament: self.rewind());
            let rest = players.split_off(2 * pairs);
            let second = players.split_off(pairs);
            let differences: Vec<u64> = players
                .iter()
                .flatten()
                .zip(second.iter().flatten())
                .map(|(a, b)| a.wrapping_sub(*b))
                .collect();
            let larger = self.relu(&differences, pairs * len)?;
            let mut larger = larger.into_iter();
            players = second;
            for b in players.iter_mut().flatten() {
                *b = b.wrapping_add(larger.next().unwrap_or(0));
            }
            players.extend(rest);
        }
        Ok(Share { data: players.pop().unwrap_or_default(), len })
    }
}

impl PorthosCosts {
    /// The cost of a maximum over windows, of `len` results.
    pub(crate) fn max_pool(&self, window: &Window, len: usize) -> Cost {
        let levels = levels(window.kernel[0] * window.kernel[1]);
        levels.fold(Cost::FREE, |cost, pairs| cost + self.relu(pairs * len))
    }
}
