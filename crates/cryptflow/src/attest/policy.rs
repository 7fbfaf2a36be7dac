//! Writing a policy from measurements.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;
use cryptflow_aramis::hex::{self, Hex};
use cryptflow_aramis::policy::{
    AcceptedAdvisory, Freshness, Parties, PartyRules, PlatformId, Platforms, Product, SgxRule,
    SimulatedRules, SnpMinimum, SnpRule, TcbRules, TdxRule,
};
use cryptflow_aramis::{Evidence, Measurement, Policy, TcbStatus, TeeKind};

use crate::error::{Error, Result};

/// What a policy is made of, as it is typed.
#[derive(Args, Clone, Debug, Default)]
pub struct Recipe {
    /// What a party may run: `p0=sgx:DIGITS`, `p0=snp:DIGITS`, `p0=insecure-simulated:DIGITS` (as
    /// `measure` prints them), or `p0=FILE` with a file of evidence from a run that you trust. May
    /// be repeated; every party needs one.
    #[arg(long = "party", required = true, value_name = "PARTY=WHAT")]
    pub parties: Vec<String>,
    /// Intel's verdict to allow beside UpToDate, such as SWHardeningNeeded. May be repeated.
    #[arg(long, value_name = "STATUS")]
    pub allow_status: Vec<String>,
    /// A known weakness to accept, and why it does not matter. May be repeated.
    #[arg(long, value_name = "ID=REASON")]
    pub accept_advisory: Vec<String>,
    /// The least versions of an AMD platform: `milan=BOOTLOADER,TEE,SNP,MICROCODE` (turin: and
    /// FMC). May be repeated.
    #[arg(long, value_name = "PRODUCT=VERSIONS")]
    pub snp_minimum: Vec<String>,
    /// Allow two hardware threads to share a core.
    #[arg(long)]
    pub allow_smt: bool,
    /// Allow platforms to which packages can be added later (servers with several sockets,
    /// usually).
    #[arg(long)]
    pub allow_dynamic_platform: bool,
    /// Allow platforms whose root keys Intel keeps a copy of (those registered with it, usually).
    #[arg(long)]
    pub allow_cached_keys: bool,
    /// Allow only the machines that the files of evidence come from. It is what helps against
    /// attestation keys that were taken out of some other machine.
    #[arg(long)]
    pub pin_platforms: bool,
    /// The least number of Intel's assessment (tcbEvaluationDataNumber).
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub min_evaluation_number: u32,
    /// Allow simulated hardware, which protects nothing.
    #[arg(long)]
    pub insecure_simulated_tee: bool,
}

/// A policy of `recipe`, checked as any other.
///
/// # Errors
/// What is wrong with which part.
pub fn write(recipe: &Recipe) -> Result<Policy> {
    let mut parties = [PartyRules::default(), PartyRules::default(), PartyRules::default()];
    let mut platforms = BTreeSet::new();
    for text in &recipe.parties {
        let (party, what) = text
            .split_once('=')
            .ok_or_else(|| Error::new(format_args!("--party {text}: write p0=WHAT, p1=WHAT or p2=WHAT")))?;
        let rules = match party {
            "p0" => parties.first_mut(),
            "p1" => parties.get_mut(1),
            "p2" => parties.get_mut(2),
            _ => None,
        };
        let rules = rules
            .ok_or_else(|| Error::new(format_args!("--party {text}: {party:?} is no party; p0, p1 or p2")))?;
        add(rules, &mut platforms, what).map_err(|e| Error::new(format_args!("--party {text}: {e}")))?;
    }
    let [p0, p1, p2] = parties;
    let mut allow_status = BTreeSet::from([TcbStatus::UpToDate]);
    for status in &recipe.allow_status {
        allow_status.insert(parse_status(status)?);
    }
    let accept_advisory = recipe
        .accept_advisory
        .iter()
        .map(|text| match text.split_once('=') {
            Some((id, reason)) => {
                Ok(AcceptedAdvisory { id: id.trim().to_owned(), reason: reason.trim().to_owned() })
            }
            None => Err(Error::new(format_args!("--accept-advisory {text}: write ID=REASON"))),
        })
        .collect::<Result<Vec<_>>>()?;
    let snp = recipe.snp_minimum.iter().map(|text| minimum(text)).collect::<Result<BTreeMap<_, _>>>()?;
    let policy = Policy {
        version: 1,
        party: Parties { p0, p1, p2 },
        tcb: TcbRules {
            allow_status,
            accept_advisory,
            min_evaluation_number: recipe.min_evaluation_number,
            allow_smt: recipe.allow_smt,
            allow_cached_keys: recipe.allow_cached_keys,
            allow_dynamic_platform: recipe.allow_dynamic_platform,
            snp,
        },
        platform: Platforms { allow: recipe.pin_platforms.then_some(platforms) },
        freshness: Freshness::default(),
        simulated: SimulatedRules { insecure_allow: recipe.insecure_simulated_tee },
    };
    // What has been put together here is held to the rules of what is read.
    Policy::parse(&policy.to_toml().map_err(Error::new)?).map_err(Error::new)
}

fn add(rules: &mut PartyRules, platforms: &mut BTreeSet<PlatformId>, what: &str) -> Result<()> {
    if let Some((kind, digits)) = what.split_once(':') {
        let digits = |length| {
            let wrong = |e| Error::new(format_args!("{e} ({length} digits of {kind})"));
            hex::decode(digits).map_err(wrong)
        };
        match kind {
            "sgx" => rules.sgx.push(SgxRule::Enclave(array(&digits(64)?)?)),
            "insecure-simulated" => rules.simulated.push(SgxRule::Enclave(array(&digits(64)?)?)),
            "snp" => rules.snp.push(snp(array(&digits(96)?)?, 0)),
            "tdx" => {
                return Err(Error::new(
                    "a trust domain has five registers; give a file of its evidence (cryptflow attest show prints them)",
                ));
            }
            _ => return Err(Error::new(format_args!("{kind:?} is none of sgx, snp, insecure-simulated"))),
        }
        return Ok(());
    }
    let path = Path::new(what);
    let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
    let evidence = Evidence::from_file_bytes(&bytes).map_err(|e| Error::at(path, e))?;
    let contents = evidence.contents().map_err(|e| Error::at(path, e))?;
    if contents.debug {
        return Err(Error::at(
            path,
            "this environment is open to its host (debug), and no policy accepts it",
        ));
    }
    match contents.measurement {
        Measurement::Enclave { mrenclave, .. } if contents.tee == TeeKind::InsecureSimulated => {
            rules.simulated.push(SgxRule::Enclave(mrenclave));
        }
        Measurement::Enclave { mrenclave, .. } => rules.sgx.push(SgxRule::Enclave(mrenclave)),
        Measurement::TrustDomain { mrtd, rtmr: [rtmr0, rtmr1, rtmr2, rtmr3], .. } => {
            rules.tdx.push(TdxRule { mrtd, rtmr0, rtmr1, rtmr2, rtmr3, mrseam: None });
        }
        Measurement::Guest { measurement, vmpl, .. } => rules.snp.push(snp(measurement, vmpl)),
    }
    platforms.insert(PlatformId(contents.platform_id));
    Ok(())
}

fn snp(measurement: Hex<48>, vmpl: u32) -> SnpRule {
    SnpRule { measurement, host_data: None, id_key_digest: None, min_guest_svn: 0, vmpl }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<Hex<N>> {
    bytes
        .try_into()
        .map(Hex)
        .map_err(|_| Error::new(format_args!("{} digits where {} are needed", bytes.len() * 2, N * 2)))
}

fn parse_status(text: &str) -> Result<TcbStatus> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|e| Error::new(format_args!("--allow-status {text}: {e}")))
}

fn minimum(text: &str) -> Result<(Product, SnpMinimum)> {
    let wrong = || {
        Error::new(format_args!(
            "--snp-minimum {text}: write milan=BOOTLOADER,TEE,SNP,MICROCODE (turin: and FMC)"
        ))
    };
    let (product, versions) = text.split_once('=').ok_or_else(wrong)?;
    let product = match product {
        "milan" => Product::Milan,
        "genoa" => Product::Genoa,
        "turin" => Product::Turin,
        _ => return Err(wrong()),
    };
    let versions: Vec<u8> = versions
        .split(',')
        .map(|version| version.trim().parse())
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| wrong())?;
    match (product, versions.as_slice()) {
        (Product::Turin, &[bootloader, tee, snp, microcode, fmc]) => {
            Ok((product, SnpMinimum { bootloader, tee, snp, microcode, fmc }))
        }
        (Product::Milan | Product::Genoa, &[bootloader, tee, snp, microcode]) => {
            Ok((product, SnpMinimum { bootloader, tee, snp, microcode, fmc: 0 }))
        }
        _ => Err(wrong()),
    }
}
