//! The options that make a slower network out of this machine's.

use crate::error::Result;
use crate::local;
use crate::notation;
use clap::Args;
use cryptflow_wire::Network;

/// An emulated network between the parties.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "An emulated network between the parties (not to the client)")]
pub(crate) struct Emulated {
    /// Time of a message there and of its answer back: milliseconds, or 10ms, 200us.
    #[arg(long, value_name = "MS", value_parser = notation::milliseconds, allow_negative_numbers = true)]
    rtt: Option<f64>,
    /// What each direction of each link carries in a second: megabits (10^6), or 200mbit, 1gbit.
    #[arg(long, value_name = "MBIT", value_parser = notation::megabits, allow_negative_numbers = true)]
    bandwidth: Option<f64>,
}

impl Emulated {
    /// The network, if one was asked for.
    ///
    /// # Errors
    /// A number that is no time or no bandwidth.
    pub(crate) fn network(self) -> Result<Option<Network>> {
        local::network(self.rtt, self.bandwidth)
    }
}
