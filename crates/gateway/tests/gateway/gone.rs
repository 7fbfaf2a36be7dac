//! Programs that go before they have their answer: what their requests hold is given back.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::served::Served;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway with room for one request.
fn narrow() -> Served {
    Served::with(None, None, 1)
}

/// A request in JSON whose first element is this.
fn request(first: i32) -> Vec<u8> {
    let x = json!({ "name": "x", "shape": [1, 2], "datatype": "FP32", "data": [first, 1] });
    serde_json::to_vec(&json!({ "inputs": [x] })).unwrap()
}

/// What is asked by somebody else now.
fn status(served: &Served) -> u16 {
    served.post("/v2/models/twice/infer", &[], &request(1)).0
}

/// Waits until so many are held for somebody who waits for them.
fn await_held(served: &Served, count: usize) {
    let end = Instant::now() + PATIENCE;
    while served.held.load(Ordering::SeqCst) != count {
        assert!(Instant::now() < end, "{count} are never held");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The place that somebody had who has gone is free.
fn await_room(served: &Served) {
    await_held(served, 0);
    let end = Instant::now() + PATIENCE;
    while status(served) != 200 {
        assert!(Instant::now() < end, "there is never room");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn over_rest() {
    let served = narrow();
    let body = request(98);
    let head =
        format!("POST /v2/models/twice/infer HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut socket = TcpStream::connect(&served.address).unwrap();
    socket.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    // It has the only place, until it goes.
    await_held(&served, 1);
    assert_eq!(status(&served), 429);
    drop(socket);
    await_room(&served);
}

/// A field of a message that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A call of ModelInfer whose first element is this, as gRPC frames it.
fn call(first: f32) -> Vec<u8> {
    let x = [field(1, b"x"), field(2, b"FP32"), field(3, &[1, 2])].concat();
    let data: Vec<u8> = [first, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let message = [field(1, b"twice"), field(5, &x), field(7, &data)].concat();
    [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
}

/// How a program goes that has called over gRPC.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It cancels the call, as clients do whose deadline is over, and goes on.
    Cancels,
    /// It is gone, with its connection.
    Goes,
}

async fn called(address: &str, served: &Served, leaving: Leaving) {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/inference.GRPCInferenceService/ModelInfer"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    body.send_data(call(98.0).into(), true).unwrap();
    tokio::task::block_in_place(|| {
        await_held(served, 1);
        assert_eq!(status(served), 429);
    });
    match leaving {
        Leaving::Cancels => body.send_reset(h2::Reason::CANCEL),
        Leaving::Goes => connection.abort(),
    }
    drop(answer);
    tokio::task::block_in_place(|| await_room(served));
}

#[test]
fn over_grpc() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for leaving in [Leaving::Cancels, Leaving::Goes] {
        let served = narrow();
        runtime.block_on(called(&served.address.clone(), &served, leaving));
    }
}
