//! A gateway that serves, and what is sent to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cryptflow_gateway::keys::Keys;
use cryptflow_gateway::{
    Answer, Datatype, Described, Event, Failure, Model, Models, Options, Page, Parties, Party, Ran, Stop,
    Tensor, TensorSpec, Tls, Upload, Watch, serve,
};
use serde_json::Value;

const GRACE: Duration = Duration::from_secs(60);

/// Doubles the rows of x; `y` is the result, `many` is how many elements are positive. A row that begins
/// with 13 is held back; one that begins with 99 waits until it is let go, and one with 98 until nobody waits for it.
pub(crate) struct Doubles {
    pub(crate) go: Arc<(Mutex<bool>, Condvar)>,
    /// How many wait until nobody waits for them.
    held: Arc<AtomicUsize>,
}

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.to_vec() }
}

impl Models for Doubles {
    fn names(&self) -> Vec<String> {
        vec!["twice".into(), "other".into()]
    }

    fn model(&self, name: &str) -> Result<Arc<Model>, Failure> {
        if !self.names().contains(&name.to_string()) {
            return Err(Failure::NoModel(name.into()));
        }
        Ok(Arc::new(Model {
            name: name.into(),
            version: "abc".into(),
            platform: "test".into(),
            inputs: vec![spec("x", Datatype::Fp32, &[-1, 2])],
            outputs: vec![spec("y", Datatype::Fp32, &[-1, 2]), spec("many", Datatype::Int64, &[])],
        }))
    }

    fn infer(&self, _: &str, inputs: Vec<Tensor>, stop: Stop) -> Result<Answer, Failure> {
        let [x] = inputs.as_slice() else { return Err(Failure::Request("x alone is wanted".into())) };
        match x.data.first() {
            Some(&13.0) => return Err(Failure::Held("it is held back".into())),
            Some(&14.0) => panic!("a defect"),
            Some(&98.0) => {
                let (held, until) = mpsc::channel::<()>();
                stop.then(move || drop(held));
                self.held.fetch_add(1, Ordering::SeqCst);
                let _ = until.recv();
                self.held.fetch_sub(1, Ordering::SeqCst);
                return Err(Failure::Unavailable("nobody waits for the answer".into()));
            }
            Some(&99.0) => {
                let go = self.go.1.wait_while(self.go.0.lock().unwrap(), |go| !*go);
                drop(go.unwrap());
            }
            _ => {}
        }
        let data: Vec<f32> = x.data.iter().map(|v| 2.0 * v).collect();
        let many = data.iter().filter(|v| **v > 0.0).count() as f32;
        let y = Tensor { name: "y".into(), datatype: Datatype::Fp32, shape: x.shape.clone(), data };
        let many = Tensor { name: "many".into(), datatype: Datatype::Int64, shape: vec![], data: vec![many] };
        let warnings = if x.data.contains(&7.0) { vec!["a seven".into()] } else { Vec::new() };
        Ok(Answer { outputs: vec![y, many], warnings })
    }

    fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The names of the files are the rows. One that begins with `bad` is none; `lost` fails in the middle; `defect`
/// panics there.
impl Page for Doubles {
    fn parties(&self) -> Parties {
        let party = |name: &str| Party { name: name.into(), address: "a:1".into(), fingerprint: "f".into() };
        let parties = ["A", "B", "C"].map(party).to_vec();
        Parties { parties, attested: false, simulated: false, policy: None }
    }

    fn model(&self, name: &str) -> Result<Described, Failure> {
        let (name, protocol) = (Models::model(self, name)?.name.clone(), "test".to_string());
        let (inputs, outputs, layers) = (Vec::new(), vec!["y".into()], Vec::new());
        Ok(Described { name, version: "abc".into(), protocol, inputs, outputs, layers, steps: 1, rows: 1 })
    }

    fn run(&self, _: &str, files: Vec<Upload>, mut watch: Watch, _: Stop) -> Result<Ran, Failure> {
        let named = |name: &str| files.iter().any(|file| file.name.starts_with(name));
        if named("bad") {
            return Err(Failure::Request("bad is no picture".into()));
        }
        watch(Event::Waiting { rows: files.len() });
        if named("wait") {
            let go = self.go.1.wait_while(self.go.0.lock().unwrap(), |go| !*go);
            drop(go.unwrap());
        }
        watch(Event::Step { done: 0, of: 1 });
        if named("lost") {
            return Err(Failure::Unavailable("B is gone".into()));
        }
        assert!(!named("defect"));
        let data = files.iter().map(|file| file.bytes.len() as f32).collect();
        let y = Tensor { name: "y".into(), datatype: Datatype::Fp32, shape: vec![files.len()], data };
        Ok(Ran {
            answer: Answer { outputs: vec![y], warnings: vec!["take care".into()] },
            rows: files.iter().map(|file| format!("{}{:?}", file.name, file.input)).collect(),
            said: Vec::new(),
            exchanged: Vec::new(),
            proved: Vec::new(),
            report: Value::Null,
        })
    }
}

/// A gateway, until it is dropped.
pub(crate) struct Served {
    pub(crate) address: String,
    pub(crate) go: Arc<(Mutex<bool>, Condvar)>,
    pub(crate) held: Arc<AtomicUsize>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new() -> Served {
        Served::with(None, None, 8)
    }

    /// For programs alone.
    pub(crate) fn without_page() -> Served {
        Served::of(None, None, 8, false, GRACE)
    }

    /// One that soon has enough of a body that does not come in.
    pub(crate) fn impatient() -> Served {
        Served::of(None, None, 8, false, Duration::from_millis(50))
    }

    pub(crate) fn with(keys: Option<Keys>, tls: Option<Tls>, waiting: usize) -> Served {
        Served::of(keys, tls, waiting, true, GRACE)
    }

    fn of(keys: Option<Keys>, tls: Option<Tls>, waiting: usize, page: bool, grace: Duration) -> Served {
        let go = Arc::new((Mutex::new(false), Condvar::new()));
        let held = Arc::<AtomicUsize>::default();
        let models = Arc::new(Doubles { go: Arc::clone(&go), held: Arc::clone(&held) });
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let page = page.then(|| Arc::clone(&models) as Arc<dyn Page>);
        let longest = 1 << 16;
        let options = Options { listen: "127.0.0.1:0".into(), tls, keys, waiting, longest, grace, page };
        let thread = thread::spawn(move || {
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            thread::spawn(move || {
                let _ = stopped.recv();
                let _ = end.send(());
            });
            let listening = |address: std::net::SocketAddr| tell.send(address.to_string()).unwrap();
            serve(models, options, listening, async { drop(ended.await) }).unwrap();
        });
        let address = told.recv().unwrap();
        Served { address, go, held, stop: Some(stop), thread: Some(thread) }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn end(mut self) {
        self.stop.take();
        self.thread.take().unwrap().join().unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and JSON of an answer.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = agent().get(self.url(path));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.call().unwrap();
        (response.status().as_u16(), serde_json::from_reader(response.body_mut().as_reader()).unwrap())
    }

    /// Status, headers and bytes of the answer to a body.
    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, http::HeaderMap, Vec<u8>) {
        let mut request = agent().post(self.url(path));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).unwrap();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (response.status().as_u16(), response.headers().clone(), bytes)
    }

    /// The JSON of the answer to this request.
    pub(crate) fn infer(&self, request: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(request).unwrap();
        let (status, _, bytes) = self.post("/v2/models/twice/infer", &[], &body);
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.take();
        *self.go.0.lock().unwrap() = true;
        self.go.1.notify_all();
    }
}

/// What sends requests; errors of the server are answers.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}
