//! One port, on which both forms of the protocol are spoken, over TLS or without.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::access;
use crate::grpc::{Inference, SERVICE};
use crate::keys::Keys;
use crate::models::Models;
use crate::page::{self, Page};
use crate::rest;
use crate::slow;
use crate::state::State;

/// Time that requests have to end, when the gateway does.
const ENDING: Duration = Duration::from_secs(30);

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Time for the head of a request, and for a sign of life.
const HEADERS: Duration = Duration::from_secs(20);

/// How long a connection may be silent before it is asked for one.
const ALIVE: Duration = Duration::from_secs(60);

/// Connections at a time.
const CONNECTIONS: usize = 1024;

/// How the gateway serves.
pub struct Options {
    /// The address and port to listen on.
    pub listen: String,
    /// The certificate; none where requests come in the clear.
    pub tls: Option<Tls>,
    /// The keys of those who may ask; none where whoever can connect may.
    pub keys: Option<Keys>,
    /// Requests that are served or wait at a time.
    pub waiting: usize,
    /// The longest request, in bytes.
    pub longest: usize,
    /// How far behind a slow pace the body of a request may be.
    pub grace: Duration,
    /// What the page for people asks; none where there is no page.
    pub page: Option<Arc<dyn Page>>,
}

/// Files of TLS, in PEM.
pub struct Tls {
    /// The certificate of the gateway, and those that lead to a known one.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs the certificates of clients; none where these need none.
    pub clients: Option<PathBuf>,
}

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file of TLS cannot be used.
    #[error("{}: {reason}", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It cannot listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gives it no threads.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

/// Serves until `stop` ends, and then until the last request is answered, for a while. `listening` is told
/// where.
///
/// # Errors
/// It cannot begin.
pub fn serve(
    models: Arc<dyn Models>,
    options: Options,
    listening: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let acceptor = options.tls.as_ref().map(acceptor).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(options.waiting + 16)
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let state = State::new(models, options.page, options.keys, options.waiting, options.longest);
    let router = router(state, options.grace);
    runtime.block_on(async move {
        let listen = |source| ServeError::Listen { address: options.listen.clone(), source };
        let listener = TcpListener::bind(&options.listen).await.map_err(listen)?;
        listening(listener.local_addr().map_err(listen)?);
        accept(&listener, acceptor, router, stop).await;
        Ok(())
    })
}

/// Ends when the operator, or whatever supervises this process, asks it to stop.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    // A system that tells of no signals ends the process by itself.
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Both forms of the protocol, and the page where there is one.
fn router(state: State, grace: Duration) -> Router {
    let longest = state.longest();
    let inference = Inference { state: state.clone(), most: longest };
    let routes = if state.has_page() { rest::routes().merge(page::routes()) } else { rest::routes() };
    routes
        .route_service(&format!("{SERVICE}{{method}}"), inference)
        .layer(axum::middleware::from_fn(move |request, next| slow::limit(grace, request, next)))
        .layer(axum::middleware::from_fn_with_state(state.clone(), access::check))
        .layer(DefaultBodyLimit::max(longest))
        .with_state(state)
}

async fn accept(
    listener: &TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((socket, _)) = accepted else {
            // A system that is out of descriptors has some again later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _ = socket.set_nodelay(true);
            // Whoever breaks off has no answer, and nobody else is concerned.
            let _ = converse(socket, acceptor, router, watcher).await;
            drop(place);
        });
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(ENDING) => {}
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn converse(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), Failed> {
    let service = TowerToHyperService::new(router);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ALIVE).keep_alive_timeout(HEADERS);
    match acceptor {
        Some(acceptor) => {
            let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await??;
            watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()).await
        }
        None => watcher.watch(builder.serve_connection(TokioIo::new(socket), service).into_owned()).await,
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServeError> {
    let wrong = |file: &PathBuf, reason: String| ServeError::Tls { file: file.clone(), reason };
    let certificates = |file: &PathBuf| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let all = all.map_err(|error| wrong(file, error.to_string()))?;
        if all.is_empty() {
            return Err(wrong(file, "there is no certificate in it, in PEM".into()));
        }
        Ok(all)
    };
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&tls.certificate, error.to_string()))?;
    let config = match &tls.clients {
        None => config.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| wrong(file, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(|error| wrong(file, error.to_string()))?)
        }
    };
    let mut config = config
        .with_single_cert(certificates(&tls.certificate)?, key)
        .map_err(|error| wrong(&tls.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
