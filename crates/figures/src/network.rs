//! A network, as reports have it.

use cryptflow_wire::Network;
use serde::Serialize;

/// A network that was emulated between the parties.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EmulatedNetwork {
    /// Time of a message there and of its answer back.
    pub rtt_ms: f64,
    /// What each direction of a link carries; absent where that was not limited.
    pub mbit_per_s: Option<f64>,
}

impl From<Network> for EmulatedNetwork {
    fn from(network: Network) -> EmulatedNetwork {
        let bits = network.bandwidth_bits_per_s;
        EmulatedNetwork {
            rtt_ms: network.rtt.as_secs_f64() * 1e3,
            mbit_per_s: (bits > 0).then_some(bits as f64 / 1e6),
        }
    }
}

impl std::fmt::Display for EmulatedNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "emulated: {} ms round trip, ", self.rtt_ms)?;
        match self.mbit_per_s {
            Some(mbit) => write!(f, "{mbit} Mbit/s each way"),
            None => f.write_str("bandwidth not limited"),
        }
    }
}
