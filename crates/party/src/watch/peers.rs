//! What a party asks the others, as it must agree with them: with its own key, over the ordinary port.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_wire::tls::Channel;

use super::probe::round_trip;
use super::standing::{Standing, clock, compare};
use super::{Watch, locked};
use crate::code::Code;
use crate::config::Config;
use crate::edition::{Edition, Spoken};
use crate::greeting::{Ask, Tell, answer_short, greet, hear_short, say};
use crate::messages::SessionError;
use crate::service::Service;
use crate::site::Site;

/// Another party has so long to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often the others are asked.
const PAUSE: Duration = Duration::from_secs(5);

/// What is known of a party is of no use when it is older.
pub(super) const OLD: Duration = Duration::from_secs(20);

/// Most questions over one connection.
const QUESTIONS: usize = 32;

/// What another party has said.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How it stands.
    pub standing: Standing,
    /// To it and back.
    pub rtt: Duration,
    /// Seconds by which its clock is ahead.
    pub ahead: f64,
    /// The newest messages that it and this site speak.
    pub edition: Edition,
}

/// When a party was asked last, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) when: Instant,
    pub(super) result: Result<Asked, (Code, String)>,
}

/// Asks a party how it stands, and leaves the channel open for more. `spoken` is what is known of the messages that
/// parties speak.
///
/// # Errors
/// It cannot be reached, or refuses.
pub fn ask(
    config: &Config,
    spoken: &Spoken,
    index: usize,
    patience: Duration,
) -> Result<(Asked, Channel), SessionError> {
    let (channel, asked) = greet(config, spoken, index, patience, ask_in)?;
    Ok((asked, channel))
}

fn ask_in(channel: &mut Channel, edition: Edition) -> Result<Asked, SessionError> {
    let rtt = round_trip(channel)?;
    let before = clock();
    say(channel, &Ask::Standing)?;
    let Tell::Standing(standing) = answer_short(channel)? else {
        let reason = "another answer was due".into();
        return Err(SessionError::Message { peer: channel.peer().into(), reason });
    };
    let middle = before.midpoint(clock()) as f64;
    let ahead = (standing.clock as f64 - middle) / 1000.0;
    Ok(Asked { standing: *standing, rtt, ahead, edition })
}

impl Watch {
    /// Asks all other parties, at once.
    fn look_around(&self, site: &Site) {
        let others = (0..site.config.parties.len()).filter(|&index| index != site.index);
        thread::scope(|scope| {
            for index in others {
                scope.spawn(move || {
                    let result = ask(&site.config, &self.spoken, index, PATIENCE);
                    let result = result.map(|(asked, _)| asked);
                    let result = result.map_err(|error| (Code::from(&error), error.to_string()));
                    locked(&self.peers).insert(index, Seen { when: Instant::now(), result });
                });
            }
        });
    }
}

impl Service {
    /// Asks the other parties now and then, until the process ends.
    pub(crate) fn keep_looking_around(self: &Arc<Self>) {
        let mut said = None;
        loop {
            self.watch.look_around(&self.site());
            self.note_readiness(&mut said);
            thread::sleep(PAUSE);
        }
    }

    /// What another party asks for, one thing after another.
    pub(crate) fn attend_party(&self, site: &Site, mut channel: Channel) -> Result<(), SessionError> {
        for _ in 0..QUESTIONS {
            channel.extend(Instant::now() + PATIENCE * 2);
            let ask = match hear_short(&mut channel) {
                Ok(ask) => ask,
                // It has what it wanted.
                Err(SessionError::Wire(cryptflow_wire::WireError::Closed { .. })) => return Ok(()),
                Err(error) => return Err(error),
            };
            match ask {
                Ask::Standing => say(&mut channel, &Tell::Standing(Box::new(self.watch.standing(site))))?,
                Ask::Probe { up, down } => super::probe::serve(&mut channel, up, down)?,
                Ask::Status
                | Ask::Describe { .. }
                | Ask::Deploy { .. }
                | Ask::Commit { .. }
                | Ask::Versions { .. }
                | Ask::Lock { .. }
                | Ask::Restore { .. }
                | Ask::Remove { .. }
                | Ask::Still
                | Ask::Settle { .. }
                | Ask::Open { .. }
                | Ask::OpenAs { .. }
                | Ask::Dealt { .. } => {
                    let reason = "a party is no client here".to_string();
                    self.watch.refused(Code::Forbidden);
                    return say(&mut channel, &Tell::Refused { code: Code::Forbidden, reason });
                }
            }
        }
        Ok(())
    }
}

/// What keeps this party from working with another one, as far as is known.
pub(super) fn causes(
    own: &Standing,
    index: usize,
    name: &str,
    seen: Option<&Seen>,
) -> Vec<cryptflow_operator::Cause> {
    let cause =
        |code: Code, model: Option<String>, message: String, advice: &str| cryptflow_operator::Cause {
            code: code.word().into(),
            party: Some(index),
            model,
            message,
            advice: advice.into(),
        };
    let Some(seen) = seen.filter(|seen| seen.when.elapsed() < OLD) else {
        return vec![cause(
            Code::Unreachable,
            None,
            format!("{name} was not asked yet"),
            "wait some seconds",
        )];
    };
    match &seen.result {
        Err((code, message)) => vec![cause(*code, None, message.clone(), advice(*code))],
        Ok(asked) => compare(own, &asked.standing, name, asked.ahead)
            .into_iter()
            .map(|found| cause(found.code, found.model, found.message, found.advice))
            .collect(),
    }
}

/// What to do where a party cannot be asked.
pub fn advice(code: Code) -> &'static str {
    match code {
        Code::Unreachable => {
            "is it running? Look at its address in this site's configuration, at name servers and firewalls"
        }
        Code::WrongKey => "compare fingerprints over the telephone, and addresses: one of them is another's",
        Code::KeyNotAccepted => "its operator puts this site's fingerprint into its configuration",
        Code::DifferentVersion => {
            "upgrade the older of the two; session.messages may keep one from speaking more"
        }
        Code::Timeout | Code::Gone => "look at its machine, and at the network between",
        Code::Busy => "it has no free place for connections: look at who takes them, in its log",
        // The message says it.
        _ => "ask its operator for its log",
    }
}
