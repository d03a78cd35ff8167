//! Lends sockets to a program that knows nothing of this library, and ends with its exit code.
//!
//! `lend [--nginx] NAME=ADDRESS… -- program arguments…`; an address with a slash is a Unix socket.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use baton_handover::foreign::{self, Convention, Socket};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|word| word == foreign::WORD) {
        let error = foreign::become_program(args);
        eprintln!("lend: {error}");
        return Ok(error.code().into());
    }
    let mut convention = Convention::Systemd;
    let mut sockets = foreign::activated()?;
    let mut args = std::env::args().skip(1);
    for word in args.by_ref().take_while(|word| word != "--") {
        match word.split_once('=') {
            None if word == "--nginx" => convention = Convention::Nginx,
            Some((name, path)) if path.contains('/') => {
                sockets.push(Socket::unix(name, &path.into(), None)?);
            }
            Some((name, address)) => sockets.push(Socket::tcp(name, address.parse()?)?),
            None => return Err(format!("{word} is no NAME=ADDRESS").into()),
        }
    }
    let program: Vec<OsString> = args.map(OsString::from).collect();
    let lent: Vec<&Socket> = sockets.iter().collect();
    let mut command = foreign::command(convention, &lent, &program)?;
    let mut child = command.spawn()?;
    drop(command);
    let status = child.wait()?;
    for socket in &sockets {
        socket.unlink()?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(1).into())
}
