//! Three parties in one process, each with keys whose words the caller chose, and a copy of every
//! message.

use std::sync::{Arc, Barrier};
use std::thread;

use cryptflow_mpc::keys::{Key, Keys};
use cryptflow_mpc::stream::Source;
use cryptflow_mpc::{Definition, Error, Party};
use cryptflow_wire::LinkOptions;
use cryptflow_wire::local::{Recorded, recorded_mesh};

use super::{PARTIES, Subject};

/// Each party's words of its keys with the next and the previous party.
pub type Sources = [[Arc<dyn Source>; 2]; 3];

/// Runs `play` in each party of a session; returns what it gives, and the messages. What is said before
/// is left out.
///
/// # Errors
/// The first party's that fails.
pub fn in_session<D: Definition + Sync, R: Send>(
    subject: &Subject<D>,
    ring_bits: u32,
    sources: Sources,
    play: impl Fn(&mut D::Protocol, Party) -> Result<R, Error> + Sync,
) -> Result<([R; 3], Vec<Recorded>), Error> {
    let (links, transcript) = recorded_mesh(3, LinkOptions::default())?;
    let begin = Barrier::new(3);
    let results: Vec<Result<R, Error>> = thread::scope(|scope| {
        let threads: Vec<_> = links
            .into_iter()
            .zip(PARTIES)
            .zip(sources)
            .map(|((links, party), sources)| {
                let (begin, play, transcript) = (&begin, &play, &transcript);
                scope.spawn(move || {
                    let [next, previous] = sources.map(Key::insecure_from_source);
                    let keys = [(party.next(3), next), (party.previous(3), previous)];
                    let joined = Keys::insecure_from_keys(party, keys).and_then(|keys| {
                        (subject.insecure_begin)(&subject.definition, links, keys, ring_bits)
                    });
                    begin.wait();
                    // What was said before is no part of the program.
                    if party == Party::P0 {
                        transcript.take();
                    }
                    begin.wait();
                    play(&mut joined?, party)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let results: Vec<R> = results.into_iter().collect::<Result<_, _>>()?;
    let results = <[R; 3]>::try_from(results).map_err(|all| Error::parties(all.len(), 3))?;
    Ok((results, transcript.take()))
}
