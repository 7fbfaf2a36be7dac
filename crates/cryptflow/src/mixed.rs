//! What it means where participants speak different messages, for people.

use cryptflow_party::edition::Edition;

/// What is said where a party, by its name, and this site speak nothing newer than `edition`; `own` is the newest that
/// this site does. Nothing where that is the newest that this release speaks.
pub(crate) fn older(name: &str, edition: Edition, own: Edition) -> Option<(String, &'static str)> {
    if edition == Edition::NEWEST {
        return None;
    }
    // Whoever speaks no newer one itself cannot know what the party does.
    Some(match edition < own {
        true => (
            format!(
                "{name} speaks version {edition} of the messages, and this site version {own}: sessions speak {edition}"
            ),
            "it works; upgrade that party when the others are, or remove its session.messages when all are",
        ),
        false => (
            format!(
                "this site speaks version {own} of the messages and none that is newer, as session.messages says: sessions speak {own}"
            ),
            "it works; remove session.messages when all participants are upgraded",
        ),
    })
}
