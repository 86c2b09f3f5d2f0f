//! Somebody who has Redis' password: hears every message and sends what they like.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use slipway_dev::redis::DevRedis;

const BOUND: Duration = Duration::from_secs(30);

/// A connection that hears everything, and one that sends.
pub(crate) struct Intruder {
    ear: TcpStream,
    heard: Vec<u8>,
    mouth: TcpStream,
}

impl Intruder {
    pub(crate) fn enter(redis: &DevRedis) -> Self {
        let mut ear = connect(redis);
        send(&mut ear, &["PSUBSCRIBE", "*"]);
        ear.set_nonblocking(true).unwrap();
        let mut intruder = Self {
            ear,
            heard: Vec::new(),
            mouth: connect(redis),
        };
        intruder.until("psubscribe");
        intruder
    }

    /// Waits until these words were heard.
    fn until(&mut self, words: &str) {
        let end = Instant::now() + BOUND;
        while !self.text().contains(words) {
            assert!(Instant::now() < end, "`{words}` is not in {}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn text(&mut self) -> String {
        let mut chunk = [0; 4096];
        while let Ok(read) = self.ear.read(&mut chunk) {
            self.heard.extend_from_slice(&chunk[..read]);
        }
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// Every message until now, with its channel.
    pub(crate) fn messages(&mut self) -> Vec<(String, String)> {
        let text = self.text();
        let lines: Vec<&str> = text.split("\r\n").collect();
        // pmessage, and each with its length before it: the pattern, the channel, the message.
        let frames = lines.windows(7).filter(|lines| lines[0] == "pmessage");
        frames
            .map(|lines| (lines[4].to_owned(), lines[6].to_owned()))
            .collect()
    }

    pub(crate) fn publish(&mut self, channel: &str, message: &str) {
        send(&mut self.mouth, &["PUBLISH", channel, message]);
        let mut answer = [0; 32];
        let read = self.mouth.read(&mut answer).unwrap();
        assert_eq!(answer[0], b':', "{:?}", String::from_utf8_lossy(&answer[..read]));
    }
}

fn connect(redis: &DevRedis) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    send(&mut stream, &["AUTH", &redis.password]);
    let mut ok = [0; 5];
    stream.read_exact(&mut ok).unwrap();
    assert_eq!(&ok, b"+OK\r\n");
    stream
}

fn send(stream: &mut TcpStream, words: &[&str]) {
    write!(stream, "*{}\r\n", words.len()).unwrap();
    for word in words {
        write!(stream, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
}
