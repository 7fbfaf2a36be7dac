//! `cryptflow gateway`: deployed models for programs that know nothing of parties.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use cryptflow_gateway::keys::{self, Keys};
use cryptflow_gateway::{Options, Tls, serve};

use crate::ahead::When;
use crate::error::{Error, Result};
use crate::serving::{Plan, Serving};

use super::site::Where;

/// How far behind a slow pace a request may come in.
const GRACE: Duration = Duration::from_secs(30);

/// Serve deployed models to programs, over the Open Inference Protocol (REST and gRPC), and to people, on a page.
///
/// The gateway runs at the data's owner: it shares inputs and opens answers. Inputs and answers are in the
/// clear there and nowhere else; the parties get shares only.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    site: Where,
    /// The models to serve; all that the parties keep for this client, at any time, by default.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<String>,
    /// Names of a model's classes, a name a line, for the page.
    #[arg(long, value_name = "MODEL=FILE", value_parser = model_and_file)]
    labels: Vec<(String, PathBuf)>,
    /// Serve programs alone: no page for people.
    #[arg(long)]
    no_page: bool,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The gateway's certificate, in PEM: requests come over TLS.
    #[arg(long, value_name = "FILE.pem", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM.
    #[arg(long, value_name = "FILE.pem", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let in only who has a certificate that one of these has signed, in PEM.
    #[arg(long, value_name = "FILE.pem", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// The keys of those who may ask, as `cryptflow gateway key` makes them.
    #[arg(long, value_name = "FILE.toml")]
    keys: Option<PathBuf>,
    /// Let other machines send requests in the clear.
    #[arg(long)]
    insecure_cleartext: bool,
    /// Let whoever can connect from other machines ask, without a key or a certificate.
    #[arg(long)]
    insecure_no_keys: bool,
    /// Sessions that are held open for each model.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    sessions: u16,
    /// Requests that wait, at most; who comes then is told when to try again.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    queue: u16,
    /// The longest request.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    longest: u32,
    /// How long a request goes on trying while the parties cannot be reached or have no room, in seconds;
    /// the deadline of the configuration by default.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// Whether to take runs that were dealt ahead (`cryptflow preprocess --config`), a run a batch, one after another: the
    /// party that deals need not be there then.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Never)]
    dealt: When,
    /// How long a session that nobody uses stays open, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
}

#[derive(Subcommand)]
enum Command {
    Key(Key),
}

/// Make a key for a program, and print it. The file keeps its digest alone.
#[derive(Args)]
struct Key {
    /// Whose key it is.
    name: String,
    /// The file of keys; made where there is none.
    #[arg(long, value_name = "FILE.toml", default_value = "keys.toml")]
    keys: PathBuf,
    /// The models that may be asked; all by default.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<String>,
}

/// So many models at least have room for their requests.
const MODELS: usize = 8;

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Some(Command::Key(key)) => make(key),
        None => listen(arguments),
    }
}

/// The two sides of `MODEL=FILE`.
fn model_and_file(given: &str) -> std::result::Result<(String, PathBuf), String> {
    let (model, file) = given.split_once('=').ok_or("MODEL=FILE is wanted: digits=labels.txt")?;
    Ok((model.into(), file.into()))
}

fn make(key: Key) -> Result<()> {
    let models: BTreeSet<String> = key.models.into_iter().collect();
    let made = keys::add(&key.keys, &key.name, (!models.is_empty()).then_some(models)).map_err(Error::new)?;
    super::print(&made)
}

fn listen(arguments: Arguments) -> Result<()> {
    allowed(&arguments)?;
    let keys = arguments.keys.as_deref().map(Keys::read).transpose().map_err(Error::new)?;
    let site = arguments.site.site()?;
    if site.allows_insecure_simulated() {
        eprintln!("INSECURE: the parties' evidence may be simulated; it proves nothing");
    }
    let plan = Plan {
        sessions: arguments.sessions.into(),
        waiting: arguments.queue.into(),
        idle: Duration::from_secs(arguments.idle.into()),
        patience: arguments
            .patience
            .map_or(site.config().session.deadline, |s| Duration::from_secs(s.into())),
        dealt: arguments.dealt,
    };
    let labels = arguments.labels.into_iter().collect();
    let models = Arc::new(Serving::new(site, arguments.models, plan, labels)?);
    let names = cryptflow_gateway::Models::names(&*models);
    // As many of each model are served and wait at a time; there may be more of them later.
    let waiting = names.len().max(MODELS) * (usize::from(arguments.queue) + usize::from(arguments.sessions));
    let clients = arguments.client_ca;
    let tls = arguments.tls_cert.zip(arguments.tls_key);
    let options = Options {
        listen: arguments.listen,
        tls: tls.map(|(certificate, key)| Tls { certificate, key, clients }),
        keys,
        waiting,
        longest: (arguments.longest as usize) << 20,
        grace: GRACE,
        page: (!arguments.no_page).then(|| Arc::clone(&models) as Arc<dyn cryptflow_gateway::Page>),
    };
    let form = if options.tls.is_some() { "https" } else { "http" };
    let names = if names.is_empty() { "no model yet".into() } else { names.join(", ") };
    let what = if arguments.no_page { "REST and gRPC" } else { "REST, gRPC, and a page" };
    serve(
        models,
        options,
        |address| {
            eprintln!("serving {names} at {form}://{address} ({what}); plaintext is here and nowhere else")
        },
        cryptflow_gateway::asked_to_stop(),
    )
    .map_err(Error::new)
}

/// Whether it is safe to listen there: what is said in the clear stays on this machine, and so does what
/// anybody may ask.
fn allowed(arguments: &Arguments) -> Result<()> {
    if is_loopback(&arguments.listen) {
        return Ok(());
    }
    let listen = &arguments.listen;
    if arguments.tls_cert.is_none() && !arguments.insecure_cleartext {
        return Err(Error::new(format!(
            "--listen {listen} can be reached from other machines, and inputs would go there in the clear: give --tls-cert and \
             --tls-key, or let a proxy on this machine do TLS and listen on 127.0.0.1"
        )));
    }
    if arguments.keys.is_none() && arguments.client_ca.is_none() && !arguments.insecure_no_keys {
        return Err(Error::new(format!(
            "--listen {listen} can be reached from other machines, and anybody there could ask: give --keys (cryptflow gateway \
             key NAME makes one) or --client-ca"
        )));
    }
    Ok(())
}

fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
