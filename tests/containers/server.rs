//! A static server for an otherwise empty image. Answers every request on 0.0.0.0:PORT with a greeting, until SIGTERM.
//! Usage: `server PORT`.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let greeting = std::env::var("GREETING").unwrap();
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    println!("serving");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let length = greeting.len();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{greeting}");
    }
}
