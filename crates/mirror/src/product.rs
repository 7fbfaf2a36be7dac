//! Products of two secret values, which cost what a linear layer does: each of them has a mirrored
//! view, computed locally, and
//!
//! ```text
//! B(x − d, y − e) + B(x + d, y + e) − 2·B(d, e) = 2·B(x, y)
//! ```
//!
//! with d and e the differences of x's and of y's masks, both known to P2. It holds whatever d and
//! e have to do with each other: x and y may share masks, or be the same value. Truncation and
//! opening are those of `linear`.

use cryptflow_mpc::Error;
use cryptflow_ring::LinearMap;
use cryptflow_ring::bilinear::bilinear_into;

use crate::Mirror;
use crate::share::Masked;

impl Mirror {
    /// `map(x, y) / 2^shift` over Z_2^(K − shift − 1), K the bits of the smaller of their rings. P2's addend is dealt; one round.
    pub(crate) async fn product(
        &mut self,
        map: &LinearMap,
        x: &Masked,
        y: &Masked,
        shift: u32,
    ) -> Result<Masked, Error> {
        let ring = x.bits.min(y.bits);
        let dealer = self.session.is_dealer();
        let (x, y) = (x.mirrored(dealer), y.mirrored(dealer));
        map.check()?;
        let mut z = vec![0; map.output_len()];
        bilinear_into(map, &x, &y, ring, &mut z)?;
        planted!(self.session.tuning, RewoundProducts: self.session.back(2));
        self.open_truncated("product", (z, ring), &[], shift).await
    }
}
