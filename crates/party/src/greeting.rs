//! What is said over a channel before it becomes a link.

use std::time::{Duration, Instant};

use cryptflow_wire::tls::Channel;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::attested::clean;
use crate::code::Code;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::edition::{Edition, Spoken};
use crate::holding::Held;
use crate::messages::{Manifest, SessionError, decode};
use crate::mode::Mode;
use crate::stock::Stocked;
use crate::versions::Model;
use crate::watch::Standing;

/// Longest of these messages: a program.
const LIMIT: usize = 64 << 20;

/// Longest of those that hold none.
const SHORT: usize = 16 << 10;

/// Longest message that a part of a weight comes in.
pub const PIECE: usize = 256 << 10;
/// Longest of those that hold lists of models.
const LISTS: usize = 1 << 20;

/// The first message of a client, where it does not come to a session of its own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// Version of the messages: the newest [`crate::edition::Edition`] that whoever connects speaks and believes the
    /// party to speak.
    pub version: u32,
}

/// What a client asks a party for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// How it is.
    Status,
    /// How long it takes to the party and back, and how much goes there in a second: it says [`Tell::Ready`];
    /// then so many bytes go to it, after which it says [`Tell::Ready`] again, and so many come from it.
    Probe {
        /// Bytes to the party.
        up: u32,
        /// Bytes from it.
        down: u32,
    },
    /// How it stands, for another party.
    Standing,
    /// Which versions it keeps of a model; of all models that the client may use where none is named.
    Versions {
        /// Which.
        name: Option<String>,
    },
    /// What it may know of a deployment.
    Describe {
        /// The model.
        name: String,
        /// The digest of the deployment.
        deployment: [u8; 32],
    },
    /// The right to change a model, until the connection ends: [`Tell::Versions`] of it. Whoever has it
    /// is not silent for longer than the party's deadline ([`Ask::Still`]).
    Lock {
        /// Which model.
        name: String,
    },
    /// To hold a part of a model; the parts of the weights follow, by id, once it is [`Tell::Ready`],
    /// in messages of at most [`PIECE`] bytes, each answered by [`Tell::Ready`]. Then it is
    /// [`Tell::Held`].
    Deploy {
        /// The number that the version is to have.
        generation: u64,
        /// What everybody may know.
        deployment: Deployment,
        /// The salts of the commitments to what this party gets.
        salts: Vec<[u8; 32]>,
        /// Bytes of each part.
        lengths: Vec<u64>,
        /// In the place of another of its name.
        replace: bool,
    },
    /// To hold a deployment that it keeps as a new version: [`Tell::Held`].
    Restore {
        /// The model.
        name: String,
        /// The number that the version is to have.
        generation: u64,
        /// The digest of the deployment.
        deployment: [u8; 32],
    },
    /// To be ready to remove all versions of a model: [`Tell::Held`].
    Remove {
        /// The model.
        name: String,
        /// The number that the version is to have that says so.
        generation: u64,
    },
    /// Nothing, but that the client is there.
    Still,
    /// All parties hold what is staged: commit it. Whoever may use a model may say that, as it is the
    /// parties' signatures that count.
    Commit {
        /// The model.
        name: String,
        /// The version.
        generation: u64,
        /// What each party has signed, in order.
        held: Vec<Held>,
    },
    /// All parties have committed these versions: what is older need not be kept.
    Settle {
        /// The model.
        name: String,
        /// The numbers of the versions.
        common: Vec<u64>,
    },
    /// To begin a session. Once *all* parties have said [`Tell::Ready`], the client connects to each of
    /// them anew, to the session itself ([`cryptflow_wire::tls::Route`]); the parties do the same with
    /// one another then. Until the client has come there, it leaves the connection open over which it
    /// has asked, and says no more: closing it takes back what was asked for. Each such connection begins with [`Tell::Ready`]; the messages of
    /// [`crate::attested::attest`] follow where there is a policy, and the channel becomes a link.
    Open {
        /// Which model.
        name: String,
        /// What all must agree on.
        manifest: Manifest,
        /// Whether to wait in line where there is no room now: [`Tell::Waits`], again and again, until it
        /// is [`Tell::Ready`]. A client waits at one party at a time, in their order, so that no two of
        /// them wait for each other.
        wait: bool,
    },
    /// The same, of a session that is not live: from [`Edition::Nine`] on.
    OpenAs {
        /// Which model.
        name: String,
        /// What all must agree on.
        manifest: Manifest,
        /// What the session is for, on which all must agree, too.
        mode: Mode,
        /// As in [`Ask::Open`].
        wait: bool,
    },
    /// What it keeps of runs that were dealt ahead, of a model or of all that the client may use:
    /// [`Tell::Dealt`]. From [`Edition::Nine`] on.
    Dealt {
        /// Which.
        name: Option<String>,
    },
}

/// What a party answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Tell {
    /// How it is.
    Status(Box<Status>),
    /// How it stands.
    Standing(Box<Standing>),
    /// A model.
    Model(Box<Deployment>),
    /// What it keeps of the models that the client may use.
    Versions(Vec<Model>),
    /// Go on.
    Ready,
    /// It holds its part of a model, and that goes with what it was told of all.
    Held(Box<Held>),
    /// There is no room yet, and so many are before the client: said again every second.
    Waits {
        /// How many.
        before: u32,
    },
    /// Not now; nothing was begun.
    Later {
        /// Why.
        reason: String,
        /// Milliseconds after which to ask again, at the earliest.
        after: u32,
    },
    /// It will not, or cannot.
    Refused {
        /// What kind of reason it has.
        code: Code,
        /// Why.
        reason: String,
    },
    /// What it keeps of runs that were dealt ahead for the versions of models that are used.
    Dealt(Vec<Stocked>),
}

/// How a party is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub software: String,
    /// Which party.
    pub index: u8,
    /// The organisation.
    pub name: String,
    /// Who asks, as this party knows it.
    pub client: String,
    /// What the client may do here.
    pub may: Vec<String>,
    /// The models that the client may use: name, protocol, digest of the deployment.
    pub models: Vec<(String, String, String)>,
    /// The protocols that it runs.
    pub protocols: Vec<String>,
    /// Sessions that run now, and how many it takes.
    pub sessions: (usize, usize),
    /// Clients that wait for one.
    pub waiting: usize,
    /// Seconds since it was started.
    pub uptime: u64,
    /// Digest of its attestation policy.
    pub policy: Option<[u8; 32]>,
    /// What it attests with.
    pub hardware: Option<String>,
    /// What keeps it from working with other parties, as far as it looks at them: the party, a word, and a
    /// text. Nothing where it does not look (it has no port for its operator).
    pub causes: Option<Vec<(Option<usize>, Code, String)>>,
}

/// Says one of these messages.
///
/// # Errors
/// The connection failed.
pub fn say(channel: &mut Channel, message: &impl Serialize) -> Result<(), SessionError> {
    let bytes = postcard::to_stdvec(message)
        .map_err(|e| SessionError::Message { peer: "this side".into(), reason: e.to_string() })?;
    Ok(channel.send(&bytes)?)
}

/// Waits for one of them.
///
/// # Errors
/// The connection failed, or it is none.
pub fn hear<T: DeserializeOwned>(channel: &mut Channel) -> Result<T, SessionError> {
    hear_at_most(channel, LIMIT)
}

/// The same of one that holds no program.
///
/// # Errors
/// The connection failed, or it is none, or longer than such a message is.
pub fn hear_short<T: DeserializeOwned>(channel: &mut Channel) -> Result<T, SessionError> {
    hear_at_most(channel, SHORT)
}

/// The same of one that may hold a program. Where it is long, there must be `room` for so many bytes before
/// any of them is read; the room is returned with it.
///
/// # Errors
/// The connection failed, it is none of these messages, or there is no room.
pub(crate) fn hear_in_room<T: DeserializeOwned, R>(
    channel: &mut Channel,
    room: impl FnOnce(u64) -> Result<R, SessionError>,
) -> Result<(T, Option<R>), SessionError> {
    let length = channel.announced(LIMIT)?;
    let room = if length > SHORT { Some(room(length as u64)?) } else { None };
    Ok((decode(&channel.recv_announced(length)?, channel.peer())?, room))
}

fn hear_at_most<T: DeserializeOwned>(channel: &mut Channel, limit: usize) -> Result<T, SessionError> {
    decode(&channel.recv(limit)?, channel.peer())
}

/// Waits for an answer, which must not be a refusal.
///
/// # Errors
/// The connection failed, or the party refuses, or cannot now.
pub fn answer(channel: &mut Channel) -> Result<Tell, SessionError> {
    answer_at_most(channel, LIMIT)
}

/// The same of one that holds no program.
///
/// # Errors
/// The connection failed, or the party refuses, or says more than that takes.
pub fn answer_short(channel: &mut Channel) -> Result<Tell, SessionError> {
    answer_at_most(channel, LISTS)
}

fn answer_at_most(channel: &mut Channel, limit: usize) -> Result<Tell, SessionError> {
    match hear_at_most(channel, limit)? {
        Tell::Refused { code, reason } => {
            Err(SessionError::Refused { peer: channel.peer().into(), code, reason: clean(&reason) })
        }
        Tell::Later { reason, after } => Err(SessionError::Later {
            peer: channel.peer().into(),
            reason: clean(&reason),
            after: Duration::from_millis(after.into()),
        }),
        tell => Ok(tell),
    }
}

/// Waits for [`Tell::Ready`].
///
/// # Errors
/// The connection failed, or the party refuses.
pub fn ready(channel: &mut Channel) -> Result<(), SessionError> {
    match answer(channel)? {
        Tell::Ready => Ok(()),
        _ => Err(another(channel)),
    }
}

/// Waits for [`Tell::Ready`] of a party that may have the client wait in line before: `told` hears how many
/// are before it, and may have enough of it. A party says something every second: silence for `patience`
/// ends the wait.
///
/// # Errors
/// The connection failed, or the party refuses, or cannot now.
pub fn ready_in_turn(
    channel: &mut Channel,
    patience: Duration,
    told: &mut dyn FnMut(u32) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    loop {
        channel.extend(Instant::now() + patience);
        match answer(channel)? {
            Tell::Ready => return Ok(()),
            Tell::Waits { before } => told(before)?,
            _ => return Err(another(channel)),
        }
    }
}

/// Connects to a party, and asks it something in the newest messages that both sides speak; the channel is left open
/// for more, and `spoken` learns what the party speaks. `ask` is told which messages those are, and may be asked
/// again.
///
/// # Errors
/// The party cannot be reached, speaks nothing that this side does, or what `ask` says.
pub fn greet<T>(
    config: &Config,
    spoken: &Spoken,
    index: usize,
    patience: Duration,
    mut ask: impl FnMut(&mut Channel, Edition) -> Result<T, SessionError>,
) -> Result<(Channel, T), SessionError> {
    let party = config.parties.get(index).ok_or(SessionError::NoParty(index))?;
    let (own, name) = (&config.identity, config.party_name(index));
    let connect = |edition: Edition| -> Result<Channel, SessionError> {
        let end = Instant::now() + patience;
        let mut channel = Channel::connect(&party.address, own, party.keys, &name, end)?;
        say(&mut channel, &Greeting { version: edition.number() })?;
        Ok(channel)
    };
    let probe = |edition| {
        let mut channel = connect(edition)?;
        say(&mut channel, &Ask::Probe { up: 0, down: 0 })?;
        ready(&mut channel)
    };
    spoken.ask((&name, &party.address), config.session.messages, probe, |edition| {
        let mut channel = connect(edition)?;
        let answer = ask(&mut channel, edition)?;
        Ok((channel, answer))
    })
}

/// Waits for [`Tell::Held`].
///
/// # Errors
/// The connection failed, or the party refuses.
pub fn held(channel: &mut Channel) -> Result<Held, SessionError> {
    match answer(channel)? {
        Tell::Held(held) => Ok(*held),
        _ => Err(another(channel)),
    }
}

/// Waits for [`Tell::Versions`].
///
/// # Errors
/// The connection failed, or the party refuses.
pub fn versions(channel: &mut Channel) -> Result<Vec<Model>, SessionError> {
    match answer(channel)? {
        Tell::Versions(models) => Ok(models),
        _ => Err(another(channel)),
    }
}

fn another(channel: &Channel) -> SessionError {
    SessionError::Message { peer: channel.peer().into(), reason: "another answer was due".into() }
}

impl Tell {
    /// A refusal for this reason.
    pub fn refused(error: &SessionError) -> Tell {
        Tell::Refused { code: Code::from(error), reason: error.to_string() }
    }
}
