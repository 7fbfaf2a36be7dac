//! `cryptflow bench service`: how many requests three organisations answer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use cryptflow_bench::quantile;
use cryptflow_party::deployment::Deployment;
use cryptflow_program::Checked;

use super::super::print;
use super::super::site::Where;
use crate::client::Client;
use crate::deployed::Described;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::remote::Site;

/// Measure how many requests a second the parties answer for a deployed model, and in which time.
///
/// Each client has a session, which stays open, and asks again as soon as it has its answer. Inputs are zeros, or
/// what comes closest to them: what a run takes does not depend on them.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
    /// Clients at a time. The parties must have as many places for one client (`client_sessions`).
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// Seconds to measure, after one to warm up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Open a session for each request.
    #[arg(long)]
    sessions: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = arguments.site.site()?;
    let Described { deployment, program, .. } = site.found(&arguments.model)?;
    let inputs = inputs(&program);
    let (stop, counted) = (AtomicBool::new(false), AtomicBool::new(false));
    let (times, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
    let mut measured = Duration::ZERO;
    thread::scope(|scope| {
        for _ in 0..arguments.clients {
            scope.spawn(|| {
                let asked =
                    ask(&site, (&deployment, &program, &inputs), arguments.sessions, &stop, &mut |time| {
                        if counted.load(Ordering::Relaxed) {
                            times
                                .lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner)
                                .push(time.as_secs_f64());
                        }
                    });
                if let Err(error) = asked {
                    stop.store(true, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
        wait(Duration::from_secs(1), &stop);
        counted.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        wait(Duration::from_secs(arguments.seconds.into()), &stop);
        counted.store(false, Ordering::Relaxed);
        measured = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    times.sort_by(f64::total_cmp);
    if times.is_empty() {
        return Err(Error::new("no request was answered in the time that was measured: give more --seconds"));
    }
    let rate = times.len() as f64 / measured.as_secs_f64();
    let at = |quantile_of: f64| quantile(&times, quantile_of) * 1e3;
    let [median, ninety, ninety_nine] = [0.5, 0.9, 0.99].map(at);
    if arguments.json {
        let figures = serde_json::json!({
            "model": arguments.model, "clients": arguments.clients, "session_each": arguments.sessions,
            "requests": times.len(), "seconds": measured.as_secs_f64(), "requests_per_second": rate,
            "milliseconds": { "median": median, "p90": ninety, "p99": ninety_nine },
        });
        return print(&serde_json::to_string_pretty(&figures).map_err(Error::new)?);
    }
    print(&format!(
        "{} requests of {} clients in {:.1} s, each {}: {rate:.1} a second\n\
         a request takes {median:.1} ms (median), {ninety:.1} ms (of 9 in 10, at most), {ninety_nine:.1} ms (of 99 in 100)",
        times.len(),
        arguments.clients,
        measured.as_secs_f64(),
        if arguments.sessions { "in a session of its own" } else { "through a session that stays open" },
    ))
}

/// Sleeps, unless something fails meanwhile.
fn wait(time: Duration, stop: &AtomicBool) {
    let end = Instant::now() + time;
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20).min(end.saturating_duration_since(Instant::now())));
    }
}

/// What is asked: the model, and its inputs.
type Question<'a> = (&'a Deployment, &'a Checked, &'a [Vec<i64>]);

/// Asks until it is to stop; `told` hears how long each answer took.
fn ask(
    site: &Site,
    (deployment, program, inputs): Question<'_>,
    sessions: bool,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Duration),
) -> Result<()> {
    let open = || -> Result<Client<'_>> {
        let mut silent = |_: &str| ();
        let mut patience = Patience::of(Patience::USUAL, &mut silent);
        let opened = site.open(deployment, program, deployment.protocol, &mut patience)?;
        Client::join(opened.links, program, &opened.manifest, opened.renewal.is_some()).map_err(Error::new)
    };
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let current = match client.take() {
            Some(client) => client,
            None => open()?,
        };
        current.infer(inputs, &mut |_| ()).map_err(Error::new)?;
        if sessions {
            current.finish().map_err(Error::new)?;
        } else {
            client = Some(current);
        }
        told(begun.elapsed());
    }
    client.map_or(Ok(()), |client| client.finish().map(drop).map_err(Error::new))
}

/// Zeros, where they are within bounds.
fn inputs(program: &Checked) -> Vec<Vec<i64>> {
    let bounds = cryptflow_engine::input_bounds(program);
    bounds.iter().map(|(elements, bounds)| vec![0.clamp(bounds.low, bounds.high); *elements]).collect()
}
