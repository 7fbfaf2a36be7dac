//! `cryptflow attest fetch`: collateral.

use std::path::PathBuf;

use crate::attest::collateral::{self, Services};
use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use cryptflow_aramis::Collateral;
use cryptflow_aramis::policy::Product;

/// Fetch what manufacturers say of the platforms that evidence comes from.
///
/// The file holds signed statements (certificates, revocations, known weaknesses); verification
/// needs no network then. Fetch it anew before it expires or is older than the policy allows:
/// entries that are in the file already are replaced.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Files of evidence, one of each platform.
    #[arg(required = true)]
    evidence: Vec<PathBuf>,
    /// The file of collateral, made or extended.
    #[arg(short, long)]
    output: PathBuf,
    /// The product of an AMD platform, for reports that do not say it.
    #[arg(long, value_enum)]
    product: Option<AmdProduct>,
    #[command(flatten)]
    services: Services,
}

#[derive(Clone, Copy, ValueEnum)]
enum AmdProduct {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl From<AmdProduct> for Product {
    fn from(product: AmdProduct) -> Product {
        match product {
            AmdProduct::Milan => Product::Milan,
            AmdProduct::Genoa => Product::Genoa,
            AmdProduct::Turin => Product::Turin,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut all = match std::fs::read(&arguments.output) {
        Ok(bytes) => Collateral::from_json(&bytes).map_err(|e| Error::at(&arguments.output, e))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Collateral::default(),
        Err(e) => return Err(Error::at(&arguments.output, e)),
    };
    for path in &arguments.evidence {
        let evidence = super::read_evidence(path)?;
        let fetched = collateral::fetch(&evidence, arguments.product.map(Product::from), &arguments.services)
            .map_err(|e| Error::at(path, e))?;
        all.merge(fetched);
    }
    super::write_or_print(Some(&arguments.output), &all.to_json().map_err(Error::new)?)
}
