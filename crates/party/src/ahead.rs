//! Sessions that have runs dealt ahead, and where a session's dealing comes from.

use std::path::{Path, PathBuf};

use cryptflow_mpc::{Definition, Party};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Link;
use cryptflow_wire::Links;
use cryptflow_wire::tls::Fingerprint;

use crate::commitments::Told;
use crate::config::Config;
use crate::deployment::{Deployment, Part};
use crate::edition::Edition;
use crate::messages::{Manifest, Obstacle, Reply, SessionError, send, unexpected};
use crate::mode::Mode;
use crate::session::Order as Wanted;
use crate::site::Site;
use crate::stock::{Label, Making, Order, Stock, StockError, WEIGHTS, deal};
use crate::store::{room, write_part};

/// Where what the dealer sends comes from, or goes.
pub enum Supply {
    /// It deals while a program runs.
    Live,
    /// The session runs nothing: it has runs dealt ahead, for evaluators to keep.
    Ahead {
        /// Where an evaluator keeps them; nothing for the dealer.
        keep: Option<Keep>,
    },
    /// From a stock. The dealer is not there.
    Stock(Stock),
}

/// Where an evaluator keeps what is dealt ahead.
#[derive(Clone, Debug)]
pub struct Keep {
    /// A folder that does not exist, or is empty.
    folder: PathBuf,
    /// What a party that serves several clients knows of it beside.
    service: Option<Service>,
}

/// What is known where the weights were deployed before.
#[derive(Clone, Debug)]
struct Service {
    /// Digest of the deployment.
    deployment: [u8; 32],
    /// The evaluators' keys ([`between`]), once they are known.
    parties: Option<[u8; 32]>,
    /// Bytes of the disk that stay free, where that is configured.
    reserve: Option<u64>,
    /// Bytes that all dealt runs of this party may take, where that is configured, and what they take.
    most: Option<(u64, u64)>,
}

impl Supply {
    /// From the stock in this folder, for a party.
    ///
    /// # Errors
    /// There is none that can be used.
    pub fn from_stock(folder: &Path, party: usize) -> Result<Supply, StockError> {
        Stock::open(folder, party).map(Supply::Stock)
    }

    /// Dealt ahead, and kept in this folder; in none by the dealer.
    pub fn ahead(folder: Option<PathBuf>) -> Supply {
        Supply::Ahead { keep: folder.map(|folder| Keep { folder, service: None }) }
    }

    /// The parties of the session have these keys, in order: a stock is for the evaluators that it was dealt to.
    ///
    /// # Errors
    /// It was dealt to others.
    pub(crate) fn between(
        &mut self,
        protocol: ProtocolName,
        keys: &[Fingerprint],
    ) -> Result<(), SessionError> {
        let keys = evaluators(protocol, keys);
        match self {
            Supply::Ahead { keep: Some(Keep { service: Some(service), .. }) } => {
                service.parties = Some(keys);
                Ok(())
            }
            Supply::Live | Supply::Ahead { .. } => Ok(()),
            Supply::Stock(stock) => Ok(stock.between(&keys)?),
        }
    }
}

/// What a stock's label has of the evaluators' keys, of those of all parties, in order.
fn evaluators(protocol: ProtocolName, keys: &[Fingerprint]) -> [u8; 32] {
    let evaluators = protocol.facts().dealer.map_or(keys.len(), Party::index);
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow evaluators of a stock v1");
    for key in keys.iter().take(evaluators) {
        hasher.update(&key.0);
    }
    *hasher.finalize().as_bytes()
}

/// Whether a stock was dealt to evaluators that have the keys which a party's configuration says, now or next.
pub(crate) fn is_between(config: &Config, label: &Label) -> bool {
    let own = config.identity.fingerprint();
    let keys = |next: bool| -> Vec<Fingerprint> {
        let parties = config.parties.iter().map(|party| match party.keys {
            keys if keys.contains(own) => own,
            keys if next => keys.next.unwrap_or(keys.now),
            keys => keys.now,
        });
        parties.collect()
    };
    let is = |next| label.parties == Some(hex::encode(evaluators(label.protocol, &keys(next))));
    is(false) || is(true)
}

/// Whether a party takes part in a session of this kind, by what can be said without a look at its store.
///
/// # Errors
/// Why not.
pub(crate) fn consider(
    site: &Site,
    mode: Mode,
    manifest: &Manifest,
    edition: Edition,
) -> Result<(), SessionError> {
    let protocol = manifest.protocol;
    match mode {
        Mode::Live => return Ok(()),
        Mode::Deal | Mode::Dealt { .. } => {}
    }
    if edition < Edition::Nine {
        return Err(SessionError::NotAhead(edition));
    }
    if site.trust.is_some() {
        return Err(StockError::Attested.into());
    }
    if !protocol.facts().ahead {
        return Err(StockError::Protocol(protocol).into());
    }
    if site.index >= mode.parties(protocol) {
        return Err(StockError::NoEvaluator(site.index).into());
    }
    Ok(())
}

/// Where the dealing of a session comes from, or goes, at a party that keeps the model.
///
/// # Errors
/// There is no such stock, or it is for something else.
pub(crate) fn supply(site: &Site, wanted: &Wanted) -> Result<Supply, SessionError> {
    let (manifest, store) = (&wanted.manifest, &site.store);
    let Some(deployment) = manifest.deployment else { return Ok(Supply::Live) };
    match wanted.mode {
        Mode::Live => Ok(Supply::Live),
        Mode::Deal => {
            let evaluates = manifest.protocol.facts().dealer.map(Party::index) != Some(site.index);
            if !evaluates {
                return Ok(Supply::ahead(None));
            }
            store.sweep_stocks(&wanted.model)?;
            let most = match site.config.dealt {
                Some(most) => Some((most, store.stocked_bytes()?)),
                None => None,
            };
            let service = Service { deployment, parties: None, reserve: site.config.reserve, most };
            let folder = store.stock(&wanted.model, &deployment, &manifest.session)?;
            Ok(Supply::Ahead { keep: Some(Keep { folder, service: Some(service) }) })
        }
        Mode::Dealt { stock } => {
            let stock = Stock::open(&store.stock(&wanted.model, &deployment, &stock)?, site.index)?;
            stock.serves(manifest.protocol, &deployment, manifest.check_inputs)?;
            Ok(Supply::Stock(stock))
        }
    }
}

/// What the runs are dealt for.
pub(crate) enum Weighed {
    /// Weights that the client has brought, and what it has told of them.
    Brought(Told, Vec<Vec<u8>>),
    /// Weights that were deployed before.
    Deployed(Vec<Vec<u8>>),
}

/// A session that has runs dealt ahead.
pub(crate) struct Ahead<'a, D> {
    pub(crate) definition: &'a D,
    pub(crate) name: ProtocolName,
    pub(crate) links: &'a Links,
    pub(crate) client: &'a Link,
    pub(crate) supply: &'a Supply,
}

impl<D: Definition> Ahead<'_, D> {
    /// Has them dealt.
    ///
    /// # Errors
    /// The session is for something else, a link or the disk fails. Runs that were on the disks of all evaluators
    /// before stay there.
    pub(crate) fn deal(&self, order: &Order<'_>, weighed: Weighed) -> Result<(), SessionError> {
        let Supply::Ahead { keep } = self.supply else {
            return Err(unexpected(self.client, "this session runs programs, and deals nothing ahead"));
        };
        if D::FACTS.dealer.is_none() || !D::FACTS.ahead {
            return Err(StockError::Protocol(self.name).into());
        }
        order.check()?;
        let (making, weights) = match keep {
            Some(keep) => {
                self.begin(order, keep, weighed).map(|(making, weights)| (Some(making), weights))?
            }
            None => match weighed {
                Weighed::Brought(_, weights) | Weighed::Deployed(weights) => (None, weights),
            },
        };
        let dealt = deal(self.definition, self.links, order, weights, making.as_ref(), |run| {
            send(self.client, &Reply::Dealt { run })
        });
        match making {
            Some(making) => making.end(dealt),
            None => dealt,
        }
    }

    /// Begins an evaluator's stock, once it is known that there is room for it.
    fn begin(
        &self,
        order: &Order<'_>,
        keep: &Keep,
        weighed: Weighed,
    ) -> Result<(Making, Vec<Vec<u8>>), SessionError> {
        let index = self.links.index();
        let runs = order.size(self.definition, Party::new(index))?.saturating_mul(order.runs.into());
        let label = |deployment, parties| Label::new(order, index, self.name, deployment).of(parties);
        match (weighed, &keep.service) {
            (Weighed::Brought(told, weights), None) => {
                let mut part = Part {
                    deployment: Deployment {
                        name: String::new(),
                        program: serde_json::to_string(&**order.program).map_err(Obstacle::from)?,
                        protocol: self.name,
                        commitments: told.commitments,
                    },
                    salts: told.salts,
                    weights,
                };
                let label = label(part.deployment.digest(), None);
                let bytes = part.weights.iter().map(|weight| weight.len() as u64).sum::<u64>();
                let making = Making::begin(&keep.folder, label, runs.saturating_add(bytes))?;
                write_part(&making.path(WEIGHTS), index, &part)?;
                Ok((making, std::mem::take(&mut part.weights)))
            }
            (Weighed::Deployed(weights), Some(service)) => {
                if let Some((most, taken)) = service.most
                    && runs > most.saturating_sub(taken)
                {
                    return Err(StockError::TooMuch { needed: runs, most, taken }.into());
                }
                if let Some(place) = keep.folder.ancestors().find(|folder| folder.exists()) {
                    room(place, runs, service.reserve)?;
                }
                let label = label(service.deployment, service.parties);
                Ok((Making::begin(&keep.folder, label, runs)?, weights))
            }
            (Weighed::Brought(..), Some(_)) | (Weighed::Deployed(_), None) => {
                Err(unexpected(self.client, "these runs are for weights from elsewhere"))
            }
        }
    }
}
