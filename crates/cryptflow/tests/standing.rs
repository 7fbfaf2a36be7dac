//! How a model stands at three parties, whatever each of them keeps.

use cryptflow::standing::{Standing, Unfinished};
use cryptflow_party::config::PartyEntry;
use cryptflow_party::holding::Held;
use cryptflow_party::store::restrict;
use cryptflow_party::versions::{Content, Kept, Version};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Fingerprint, Identity, Keys};

const OWNER: [u8; 32] = [7; 32];

/// A version as the tables here write it: its number, a letter for what was deployed or `-` where it says that the
/// model was removed, and `?` where it is staged and not committed.
fn kept(text: &str) -> Kept {
    let (text, committed) = match text.strip_suffix('?') {
        Some(text) => (text, false),
        None => (text, true),
    };
    let (generation, what) = text.split_at(text.len() - 1);
    let content = match what.as_bytes()[0] {
        b'-' => Content::Removed,
        letter => Content::Deployed { digest: [letter; 32], protocol: ProtocolName::Mirror, bytes: 1 },
    };
    let (generation, client) = (generation.parse().unwrap(), "alice".to_string());
    let version = Version { generation, content, time: 5, client, owner: OWNER, held: Vec::new() };
    Kept { version, committed, trouble: None }
}

/// What each party keeps, the newest first.
fn standing(parties: [&str; 3]) -> Standing {
    let parties = parties.map(|kept| kept.split_whitespace().map(self::kept).collect());
    Standing { name: "m".into(), parties: parties.into() }
}

fn numbers(versions: Vec<&Version>) -> Vec<u64> {
    versions.into_iter().map(|version| version.generation).collect()
}

/// Which parties have to be told of which versions.
fn due(standing: &Standing) -> Vec<(usize, u64)> {
    standing.unfinished().iter().map(|unfinished| (unfinished.party, unfinished.generation)).collect()
}

/// What follows from what the parties keep.
struct Row {
    parties: [&'static str; 3],
    /// The versions that all have committed.
    common: &'static [u64],
    /// The letter of what is used.
    used: Option<u8>,
    /// Who has yet to be told of what.
    unfinished: &'static [(usize, u64)],
    /// The number of the next version.
    next: u64,
    /// The version to which a rollback leads that names none.
    before: Option<u64>,
}

const ROWS: &[Row] = &[
    // Nothing was ever deployed; or it was begun, and nobody has decided on it.
    Row { parties: ["", "", ""], common: &[], used: None, unfinished: &[], next: 1, before: None },
    Row { parties: ["1a?", "1a?", ""], common: &[], used: None, unfinished: &[], next: 2, before: None },
    Row { parties: ["1a?", "1a?", "1a?"], common: &[], used: None, unfinished: &[], next: 2, before: None },
    // In good order.
    Row {
        parties: ["1a", "1a", "1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[],
        next: 2,
        before: None,
    },
    Row {
        parties: ["2b 1a", "2b 1a", "2b 1a"],
        common: &[2, 1],
        used: Some(b'b'),
        unfinished: &[],
        next: 3,
        before: Some(1),
    },
    // A rollback is a new version of what was before: the way back from it is to the other one.
    Row {
        parties: ["3a 2b 1a", "3a 2b 1a", "3a 2b 1a"],
        common: &[3, 2, 1],
        used: Some(b'a'),
        unfinished: &[],
        next: 4,
        before: Some(2),
    },
    // Not all parties keep as much.
    Row {
        parties: ["3c 2b", "3c 1a", "3c 2b 1a"],
        common: &[3],
        used: Some(b'c'),
        unfinished: &[],
        next: 4,
        before: None,
    },
    // Decided by one, which can convince those that have it staged; what is used is what all have.
    Row {
        parties: ["2b 1a", "2b? 1a", "2b? 1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[(1, 2), (2, 2)],
        next: 3,
        before: None,
    },
    Row {
        parties: ["2b? 1a", "2b 1a", "2b 1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[(0, 2)],
        next: 3,
        before: None,
    },
    // The first deployment of all.
    Row {
        parties: ["1a?", "1a?", "1a"],
        common: &[],
        used: None,
        unfinished: &[(0, 1), (1, 1)],
        next: 2,
        before: None,
    },
    // Several, in the order in which they were decided, whoever has them.
    Row {
        parties: ["3c? 2b 1a", "3c 2b? 1a", "3c? 2b? 1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[(1, 2), (2, 2), (0, 3), (2, 3)],
        next: 4,
        before: None,
    },
    // Who has nothing of it cannot be convinced: it has lost its store, or has one of yesterday.
    Row {
        parties: ["2b 1a", "1a", "2b 1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[],
        next: 3,
        before: None,
    },
    Row { parties: ["2b 1a", "", "2b 1a"], common: &[], used: None, unfinished: &[], next: 3, before: None },
    // P0, by which the versions are listed, is no better than others.
    Row {
        parties: ["1a", "2b 1a", "2b 1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[],
        next: 3,
        before: None,
    },
    // The same number for something else is another version: nobody is convinced of it.
    Row { parties: ["1a", "1b", "1a"], common: &[], used: None, unfinished: &[], next: 2, before: None },
    Row { parties: ["1a", "1b?", "1a"], common: &[], used: None, unfinished: &[], next: 2, before: None },
    // What was staged once, below what is used, is over.
    Row {
        parties: ["3c 2b", "3c 2b?", "3c 2b?"],
        common: &[3],
        used: Some(b'c'),
        unfinished: &[],
        next: 4,
        before: None,
    },
    // A number that was promised once is not given again.
    Row {
        parties: ["1a", "9z? 1a", "1a"],
        common: &[1],
        used: Some(b'a'),
        unfinished: &[],
        next: 10,
        before: None,
    },
    // Removed: nothing that is older is of use, whoever still has it.
    Row {
        parties: ["2- 1a", "2- 1a", "2- 1a"],
        common: &[2],
        used: None,
        unfinished: &[],
        next: 3,
        before: None,
    },
    Row {
        parties: ["2- 1a", "2-", "2-? 1a"],
        common: &[],
        used: None,
        unfinished: &[(2, 2)],
        next: 3,
        before: None,
    },
    Row {
        parties: ["4c 3b 2- 1a", "4c 3b 2- 1a", "4c 3b 2- 1a"],
        common: &[4, 3, 2],
        used: Some(b'c'),
        unfinished: &[],
        next: 5,
        before: Some(3),
    },
    Row {
        parties: ["3b 2- 1a", "3b 2- 1a", "3b 2- 1a"],
        common: &[3, 2],
        used: Some(b'b'),
        unfinished: &[],
        next: 4,
        before: None,
    },
];

#[test]
fn what_follows_from_what_parties_keep() {
    for Row { parties, common, used, unfinished, next, before } in ROWS {
        let standing = standing(*parties);
        assert_eq!(numbers(standing.common()), *common, "{parties:?}");
        assert_eq!(standing.settled(), *common, "{parties:?}");
        assert_eq!(
            standing.current().map(|version| version.generation),
            common.first().copied(),
            "{parties:?}"
        );
        assert_eq!(standing.deployment(), used.map(|letter| [letter; 32]), "{parties:?}");
        assert_eq!(due(&standing), *unfinished, "{parties:?}");
        assert_eq!(standing.next(), *next, "{parties:?}");
        assert_eq!(standing.before(None).map(|version| version.generation), *before, "{parties:?}");
    }
}

/// Once the parties have taken what they were told, nothing is left to tell, and what was decided is used.
#[test]
fn what_is_finished_is_used() {
    for Row { parties, unfinished, .. } in ROWS.iter().filter(|row| !row.unfinished.is_empty()) {
        let mut standing = standing(*parties);
        for done in standing.unfinished() {
            standing.finished(&done);
        }
        assert_eq!(due(&standing), [], "{parties:?}");
        let newest = unfinished.iter().map(|(_, generation)| *generation).max();
        assert_eq!(standing.current().map(|version| version.generation), newest, "{parties:?}");
    }
    // A party that there is not has not taken anything.
    let mut other = standing(["2b 1a", "2b? 1a", "2b? 1a"]);
    other.finished(&Unfinished { party: 3, generation: 2, held: Vec::new() });
    assert_eq!(due(&other), [(1, 2), (2, 2)]);
}

#[test]
fn a_rollback_leads_to_what_all_keep() {
    let standing = standing(["4d 3c 2b", "4d 3c 2b 1a", "4d 2b 1a"]);
    for (asked, found) in [(4, Some(4)), (3, None), (2, Some(2)), (1, None), (9, None)] {
        assert_eq!(standing.before(Some(asked)).map(|version| version.generation), found, "{asked}");
    }
    // Nobody goes back to a model that was removed, or to before that.
    let removed = self::standing(["3b 2- 1a"; 3]);
    for asked in [2, 1] {
        assert!(removed.before(Some(asked)).is_none(), "{asked}");
    }
}

/// A site's key.
fn identity() -> Identity {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["cryptflow".to_string()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    restrict(&key, 0o600).unwrap();
    Identity::read(&certificate, &key).unwrap()
}

fn entry(keys: Keys) -> PartyEntry {
    PartyEntry { name: "p".into(), address: "p.example.org:7843".into(), keys }
}

/// Who is behind is found by what all have signed: a party alone cannot make anybody believe in a newer version.
#[test]
fn who_is_behind_is_proved() {
    let sites = [identity(), identity(), identity()];
    let parties: Vec<PartyEntry> =
        sites.iter().map(|site| entry(Keys { now: site.fingerprint(), next: None })).collect();
    let signed = |version: &Version, by: [&Identity; 3]| -> Vec<Held> {
        by.into_iter()
            .enumerate()
            .map(|(party, site)| version.promise("m").sign(site, party).unwrap())
            .collect()
    };
    let [a, b, c] = &sites;
    // What P0 shows as the certificate of version 2, which P1 has, too.
    let with = |held: &dyn Fn(&Version) -> Vec<Held>, parties: [&str; 3]| {
        let mut standing = standing(parties);
        for kept in standing.parties.iter_mut().flatten().filter(|kept| kept.version.generation == 2) {
            kept.version.held = held(&kept.version);
        }
        standing
    };
    let all = |version: &Version| signed(version, [a, b, c]);
    let behind = |standing: &Standing, parties: &[PartyEntry]| {
        standing.behind(parties).map(|(version, without)| (version.generation, without))
    };
    let missing = ["2b 1a", "2b 1a", "1a"];
    assert_eq!(behind(&with(&all, missing), &parties), Some((2, vec![2])));
    assert_eq!(behind(&with(&all, ["2b 1a", "2b? 1a", "1a"]), &parties), Some((2, vec![1, 2])));
    // It is at all parties, or below what is used, or nobody says that it was decided.
    assert_eq!(behind(&with(&all, ["2b 1a"; 3]), &parties), None);
    assert_eq!(behind(&with(&all, ["3c 2b", "3c 2b", "3c"]), &parties), None);
    assert_eq!(behind(&with(&all, ["2b? 1a", "2b? 1a", "1a"]), &parties), None);

    type Signed<'a> = &'a dyn Fn(&Version) -> Vec<Held>;
    let forged: [(&str, Signed<'_>); 5] = [
        ("nothing is signed", &|_| Vec::new()),
        ("one has not signed", &|version| signed(version, [a, b, c])[..2].to_vec()),
        ("P1 has signed in the place of P2", &|version| signed(version, [a, b, b])),
        ("the order is another", &|version| signed(version, [b, a, c])),
        ("it is of another version", &|version| {
            signed(&Version { generation: 3, ..version.clone() }, [a, b, c])
        }),
    ];
    for (what, held) in forged {
        assert_eq!(behind(&with(held, missing), &parties), None, "{what}");
    }
    // Another model, or another owner, is something else.
    let renamed = Standing { name: "n".into(), ..with(&all, missing) };
    assert_eq!(behind(&renamed, &parties), None);
    let mut of_another = with(&all, missing);
    of_another.parties.iter_mut().flatten().for_each(|kept| kept.version.owner = [8; 32]);
    assert_eq!(behind(&of_another, &parties), None);

    // A party that is about to change its key signs with either.
    let mut renewed = parties.clone();
    renewed[2].keys = Keys { now: Fingerprint([1; 32]), next: Some(c.fingerprint()) };
    assert_eq!(behind(&with(&all, missing), &renewed), Some((2, vec![2])));
    renewed[2].keys.next = None;
    assert_eq!(behind(&with(&all, missing), &renewed), None);
}
