//! `probed ask`: what an exec probe runs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;

use anyhow::Context as _;

/// Asks the program that runs in the same container. Waits for ever: it is the kubelet that ends what takes too long.
pub fn ask(port: u16) -> anyhow::Result<ExitCode> {
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("nobody listens here")?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .context("cannot ask")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("cannot read the answer")?;
    let status: u16 = answer
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("not an HTTP answer: {answer:?}"))?;
    println!("HTTP status {status}");
    Ok(if (200..400).contains(&status) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
