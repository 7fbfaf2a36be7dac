//! Fetching collateral from Intel and AMD.
//!
//! Everything that is fetched is signed by the manufacturer, and verifiers check the signatures;
//! nothing here has to be trusted.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use cryptflow_aramis::collateral::{AmdCollateral, CaKind, DerBytes, IntelCollateral};
use cryptflow_aramis::hex;
use cryptflow_aramis::policy::Product;
use cryptflow_aramis::{Collateral, Contents, Evidence, Source, TeeKind};
use dcap_qvl::QuoteCollateralV3;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Intel's service (PCS), or a cache of it (PCCS).
const INTEL: &str = "https://api.trustedservices.intel.com";
/// Where Intel has its root's revocation list.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/// AMD's service (KDS).
const AMD: &str = "https://kdsintf.amd.com";

/// The largest answer that is taken. The largest ones are some 50 KiB.
const MAX_ANSWER: u64 = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where to fetch from.
#[derive(Args, Clone, Debug)]
pub struct Services {
    /// Intel's service, or a cache of it (PCCS).
    #[arg(long, value_name = "URL", default_value = INTEL)]
    pub intel: String,
    /// The revocation list of Intel's root.
    #[arg(long, value_name = "URL", default_value = INTEL_ROOT_CRL)]
    pub intel_root_crl: String,
    /// AMD's service, or a cache of it.
    #[arg(long, value_name = "URL", default_value = AMD)]
    pub amd: String,
}

/// Fetches what it takes to verify `evidence`. AMD's reports of version 2 do not name their
/// product; `product` does.
///
/// # Errors
/// Where a service cannot be reached or answers something else, or the evidence does not say its
/// platform.
pub fn fetch(evidence: &Evidence, product: Option<Product>, services: &Services) -> Result<Collateral> {
    let contents = evidence.contents().map_err(Error::new)?;
    match (&contents.source, evidence) {
        (_, Evidence::InsecureSimulated { .. }) => Err(Error::new(
            "simulated evidence has its collateral in the folder that signed it; there is none to fetch",
        )),
        (Source::Intel { fmspc, ca }, _) => intel(contents.tee, &hex::encode(&fmspc.0), *ca, services),
        (Source::Amd { .. }, Evidence::Snp { report, .. }) => amd(&contents, report, product, services),
        (Source::Amd { .. }, _) => Err(Error::new("an AMD report that is none")),
    }
}

fn intel(tee: TeeKind, fmspc: &str, ca: CaKind, services: &Services) -> Result<Collateral> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "tcbInfo", alias = "enclaveIdentity")]
        document: Box<RawValue>,
        signature: String,
    }
    let base = services.intel.trim_end_matches('/');
    let kind = if tee == TeeKind::Tdx { "tdx" } else { "sgx" };
    let ca = match ca {
        CaKind::Processor => "processor",
        CaKind::Platform => "platform",
    };
    let signed = |url: &str, header: &[&str]| -> Result<(String, Vec<u8>, String)> {
        let answer = get(url)?;
        let chain = answer.chain(header)?;
        let info: Info = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::new(format_args!("{url} answered something else than expected: {e}")))?;
        let signature =
            hex::decode(&info.signature).map_err(|e| Error::new(format_args!("{url}: signature: {e}")))?;
        Ok((info.document.get().to_owned(), signature, chain))
    };
    let crl = get(&format!("{base}/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"))?;
    let (tcb_info, tcb_info_signature, tcb_info_issuer_chain) = signed(
        &format!("{base}/{kind}/certification/v4/tcb?fmspc={fmspc}"),
        &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"],
    )?;
    let (qe_identity, qe_identity_signature, qe_identity_issuer_chain) = signed(
        &format!("{base}/{kind}/certification/v4/qe/identity"),
        &["SGX-Enclave-Identity-Issuer-Chain"],
    )?;
    let quote_collateral = QuoteCollateralV3 {
        pck_crl_issuer_chain: crl.chain(&["SGX-PCK-CRL-Issuer-Chain"])?,
        root_ca_crl: get(&services.intel_root_crl)?.body,
        pck_crl: crl.body,
        tcb_info_issuer_chain,
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain,
        qe_identity,
        qe_identity_signature,
        pck_certificate_chain: None,
    };
    let entry = IntelCollateral::new(quote_collateral).map_err(Error::new)?;
    Ok(Collateral { intel: vec![entry], ..Collateral::default() })
}

fn amd(
    contents: &Contents,
    report: &[u8],
    product: Option<Product>,
    services: &Services,
) -> Result<Collateral> {
    let Source::Amd { cpu, .. } = &contents.source else { return Err(Error::new("not an AMD report")) };
    let product = match (product, cpu) {
        (Some(product), _) => product,
        (None, Some((0x19, 0x00..=0x0f))) => Product::Milan,
        (None, Some((0x19, 0x10..=0x1f | 0xa0..=0xaf))) => Product::Genoa,
        (None, Some((0x1a, 0x00..=0x11))) => Product::Turin,
        _ => {
            return Err(Error::new(
                "the report does not say its processor; add --product milan, genoa or turin",
            ));
        }
    };
    let base = services.amd.trim_end_matches('/');
    let chip = hex::encode(&contents.platform_id);
    if contents.platform_id.iter().all(|byte| *byte == 0) {
        return Err(Error::new(
            "the host hides the chip's number, so that its certificate cannot be fetched; ask the host for it",
        ));
    }
    // The bytes at 0x180 are the versions that the chip signed under (SNP ABI, table 23).
    let tcb: [u8; 8] = report
        .get(0x180..0x188)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::new("a report that is too short"))?;
    let [a, b, c, d, .., snp, microcode] = tcb;
    let versions = match product {
        Product::Turin => {
            format!("fmcSPL={a:02}&blSPL={b:02}&teeSPL={c:02}&snpSPL={d:02}&ucodeSPL={microcode:02}")
        }
        _ => format!("blSPL={a:02}&teeSPL={b:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}"),
    };
    let crl = get(&format!("{base}/vcek/v1/{product}/crl"))?.body;
    let vcek = get(&format!("{base}/vcek/v1/{product}/{chip}?{versions}"))?.body;
    let fetched = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let entry = AmdCollateral { fetched, crl, vcek: BTreeMap::from([(chip, DerBytes(vcek))]) };
    Ok(Collateral { amd: BTreeMap::from([(product, entry)]), ..Collateral::default() })
}

struct Answer {
    url: String,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// A chain of certificates in a header: PEM, with what a URL could not hold escaped.
    fn chain(&self, names: &[&str]) -> Result<String> {
        let value =
            names.iter().find_map(|name| self.headers.get(*name)).and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| {
            Error::new(format_args!("{} answered without the header {}", self.url, names.join(" or ")))
        })?;
        let text = percent_decode_str(value).decode_utf8();
        text.map(Into::into).map_err(|_| Error::new(format_args!("{}: a header is no text", self.url)))
    }
}

fn get(url: &str) -> Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let failed = |e: ureq::Error| match e {
        ureq::Error::StatusCode(404) => {
            Error::new(format_args!("{url}: the service does not know this platform (404)"))
        }
        ureq::Error::StatusCode(status) => Error::new(format_args!("{url}: the service refused ({status})")),
        other => Error::new(format_args!(
            "cannot reach {url}: {other}. Collateral is fetched ahead, on any machine with a network, and then copied to where it is needed"
        )),
    };
    let mut response = agent.get(url).call().map_err(failed)?;
    let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
    Ok(Answer { url: url.to_owned(), headers: response.headers().clone(), body })
}
