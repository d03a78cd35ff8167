//! A server of one answer at a time, which notes what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What goes out: everything from the status line on, made of the request.
type Answer = Box<dyn Fn(&Request) -> String + Send>;

pub(crate) struct Server {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts on a port of the kernel's choice; it ends with the test's process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(|_| response(200, "{}"))));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, notes) = (Arc::clone(&answer), Arc::clone(&seen));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                if let Some(request) = read(&connection) {
                    let text = answers.lock().unwrap()(&request);
                    notes.lock().unwrap().push(request);
                    let _ = connection.write_all(text.as_bytes());
                }
            }
        });
        Self { url, answer, seen }
    }

    pub(crate) fn answers(&self, answer: impl Fn(&Request) -> String + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// What came in since this was asked last.
    pub(crate) fn take_seen(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// A whole response.
pub(crate) fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn read(connection: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(connection);
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").unwrap_or("0").to_owned();
    let mut body = lines.take(length.parse().ok()?);
    body.read_to_string(&mut request.body).ok()?;
    Some(request)
}
