//! The links from here: to the other parties where this is a party, with its own key; to all parties where this is
//! a client.

use std::net::ToSocketAddrs;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_figures::table::bytes;
use cryptflow_party::attested::Trust;
use cryptflow_party::code::Code;
use cryptflow_party::config::Config;
use cryptflow_party::edition::{Edition, Spoken};
use cryptflow_party::messages::SessionError;
use cryptflow_party::watch::{Measured, Standing, advice, ask, compare, measure, own_standing};

use super::Finding;
use crate::mixed::older;
use crate::remote::Site;
use crate::usable::unusable;

/// A party has so long to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Each round of a run takes so long at least: a network of fifty layers has some hundred rounds.
const FAR: Duration = Duration::from_millis(100);

/// A ResNet50 sends a gigabyte: with less than that, in bytes a second, it takes minutes.
const NARROW: f64 = 1.25e6;

/// Does something for each of these parties, all at once, and keeps their order.
fn with_each(parties: &[usize], look: impl Fn(usize) -> Vec<Finding> + Sync) -> Vec<Finding> {
    let look = &look;
    thread::scope(|scope| {
        let threads: Vec<_> =
            parties.iter().map(|&index| (index, scope.spawn(move || look(index)))).collect();
        let joined = threads.into_iter().flat_map(|(index, thread)| {
            let found = thread.join().unwrap_or_else(|_| vec![unreached(&SessionError::Panicked)]);
            found.into_iter().map(move |finding| finding.of(index))
        });
        joined.collect()
    })
}

/// A party looks at the others.
pub(super) fn of_party(config: &Config, trust: Option<&Trust>, own: usize) -> Vec<Finding> {
    let standing = match own_standing(config, trust) {
        Ok(standing) => standing,
        Err(error) => {
            let advice = "look at the folder's disk and at its rights";
            return vec![Finding::failed("store", Code::from(&error), error, advice)];
        }
    };
    let mut found = own_party(config, &standing, own);
    let others: Vec<usize> = (0..config.parties.len()).filter(|&index| index != own).collect();
    found.extend(with_each(&others, |index| to_party(config, &standing, index)));
    found
}

/// Whether this party runs, where the others look for it, as its files say.
fn own_party(config: &Config, own: &Standing, index: usize) -> Vec<Finding> {
    let (check, name) = ("own party", config.party_name(index));
    let address = config.parties.get(index).map(|party| party.address.as_str()).unwrap_or_default();
    let asked = match resolved(address).map(|_| ask(config, &Spoken::default(), index, PATIENCE)) {
        Err(finding) => return vec![finding],
        Ok(Err(error)) if Code::from(&error) == Code::Unreachable => {
            let advice = "start it: cryptflow party. Where it runs, a router may not lead back from inside: ask the others";
            return vec![Finding::warning(check, error, advice)];
        }
        Ok(Err(error)) => return vec![Finding { check, ..unreached(&error) }],
        Ok(Ok((asked, _))) => asked,
    };
    let differing = compare(own, &asked.standing, &name, asked.ahead);
    if differing.is_empty() {
        return vec![Finding::ok(check, format!("it runs at {address}, as its files say"))];
    }
    let advice =
        "it runs with other files than are here: have it read them again (SIGHUP), or start it again";
    differing.into_iter().map(|it| Finding::failed(check, it.code, it.message, advice)).collect()
}

fn resolved(address: &str) -> Result<Vec<std::net::SocketAddr>, Finding> {
    let wrong = |reason: String| {
        let advice = "correct the address in the configuration, or the name server";
        Finding::failed("address", Code::Unreachable, format!("{address}: {reason}"), advice)
    };
    let found: Vec<_> = address.to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    if found.is_empty() { Err(wrong("no such address".into())) } else { Ok(found) }
}

fn to_party(config: &Config, own: &Standing, index: usize) -> Vec<Finding> {
    let address = config.parties.get(index).map(|party| party.address.as_str()).unwrap_or_default();
    if let Err(finding) = resolved(address) {
        return vec![finding];
    }
    let (asked, mut channel) = match ask(config, &Spoken::default(), index, PATIENCE) {
        Ok(asked) => asked,
        Err(error) => return vec![unreached(&error)],
    };
    let name = config.party_name(index);
    let mut found = vec![
        Finding::ok("connection", format!("{address}: TLS 1.3, and the key that is written down")),
        versions(&asked.standing.software),
        messages(&name, asked.edition, config.session.messages),
    ];
    let differing = compare(own, &asked.standing, &name, asked.ahead);
    if differing.is_empty() {
        let models = own.models.len();
        found.push(Finding::ok(
            "agreement",
            format!("policy, protocols, {models} models and clock are alike"),
        ));
    }
    found
        .extend(differing.into_iter().map(|it| Finding::failed("agreement", it.code, it.message, it.advice)));
    found.extend(speed(measure(&mut channel, Instant::now() + PATIENCE)));
    found
}

/// A client looks at all parties.
pub(super) fn of_client(site: &Site) -> Vec<Finding> {
    let statuses = site.status();
    let wrong = unusable(&statuses, site.policy());
    let all: Vec<usize> = (0..statuses.len()).collect();
    let mut found = with_each(&all, |index| {
        let address =
            site.config().parties.get(index).map(|party| party.address.as_str()).unwrap_or_default();
        let status = match (resolved(address), statuses.get(index)) {
            (Err(finding), _) => return vec![finding],
            (_, Some(Err(error))) => return vec![unreached(error)],
            (_, None) => return Vec::new(),
            (_, Some(Ok(status))) => status,
        };
        let may =
            format!("{address}: knows this client as {}, which may {}", status.client, status.may.join(", "));
        let mut found = vec![Finding::ok("connection", may), versions(&status.software)];
        let (config, spoken) = (site.config(), site.spoken(index));
        found.extend(
            spoken.map(|edition| messages(&config.party_name(index), edition, config.session.messages)),
        );
        let of_it = wrong.iter().filter(|it| it.party == Some(index));
        let ask = "ask its operator, or compare the configurations";
        found.extend(of_it.map(|it| Finding::failed("agreement", it.code, &it.message, ask)));
        found.push(match &status.causes {
            None => Finding::ok("other parties", "it does not look at them: it has no port for its operator"),
            Some(causes) if causes.is_empty() => {
                Finding::ok("other parties", "it reaches them, and they agree")
            }
            Some(causes) => {
                let said: Vec<&str> = causes.iter().map(|(_, _, message)| message.as_str()).collect();
                let code = causes.first().map_or(Code::Failed, |(_, code, _)| *code);
                let advice = "tell the operators: cryptflow doctor on their sites says more";
                Finding::failed("other parties", code, said.join("; "), advice)
            }
        });
        found.extend(speed(site.measure(index, PATIENCE)));
        found
    });
    let of_all = wrong.iter().filter(|it| it.party.is_none());
    let advice = "whoever deployed it deploys it again: cryptflow deploy --replace";
    found.extend(of_all.map(|it| Finding::failed("models", it.code, &it.message, advice)));
    if found.iter().all(|finding| finding.check != "models") {
        let models: std::collections::BTreeSet<&str> = statuses
            .iter()
            .flat_map(|status| status.iter().flat_map(|status| &status.models))
            .map(|(name, ..)| name.as_str())
            .collect();
        found.push(Finding::ok(
            "models",
            format!("{} are the same at all parties that were reached", models.len()),
        ));
    }
    found
}

fn unreached(error: &SessionError) -> Finding {
    let code = Code::from(error);
    Finding::failed("connection", code, error, advice(code))
}

fn versions(theirs: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match own == theirs {
        true => Finding::ok("version", own),
        false => Finding::warning(
            "version",
            format!("{theirs} there, {own} here"),
            "it works where both speak the same messages; install the same version everywhere in the end",
        ),
    }
}

/// The messages that a party, by its name, and this site speak; `own` is the newest of this site.
fn messages(name: &str, edition: Edition, own: Edition) -> Finding {
    match older(name, edition, own) {
        None => Finding::ok("messages", format!("version {edition}")),
        Some((message, advice)) => Finding::warning("messages", message, advice),
    }
}

fn speed(measured: Result<Measured, SessionError>) -> Vec<Finding> {
    let Measured { rtt, up, down } = match measured {
        Ok(measured) => measured,
        Err(error) => {
            let advice = advice(Code::from(&error));
            return vec![Finding::failed("speed", Code::from(&error), error, advice)];
        }
    };
    let there_and_back = format!("{:.2} ms there and back", rtt.as_secs_f64() * 1e3);
    let rate = |bytes_a_second: f64| format!("{}/s", bytes(bytes_a_second as u64));
    let width = format!("{} there, {} back", rate(up), rate(down));
    vec![
        match rtt > FAR {
            false => Finding::ok("rtt", there_and_back),
            true => Finding::warning(
                "rtt",
                there_and_back,
                "every round of a run takes that long: parties that are closer together are faster",
            ),
        },
        match up.min(down) < NARROW {
            false => Finding::ok("bandwidth", width),
            true => Finding::warning(
                "bandwidth",
                width,
                "runs of large models take minutes: look at what else uses the network",
            ),
        },
    ]
}
