//! An artefact that is a file of this machine. It is copied, never linked: the release must not change
//! when the original does.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::disk::NoSpace;
use super::partial::{Partial, Writing};
use super::run::Progress;
use super::transfer::{Got, Job, TransferError};

/// Copies a file into the work directory.
pub(super) async fn copy(job: &Job<'_>, from: &Path) -> Result<Got, TransferError> {
    let error = |doing, e: &io::Error| TransferError::Local {
        doing,
        path: from.to_owned(),
        reason: match e.kind() {
            // Cosmovisor's users know it in Go's spelling.
            io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => e.to_string(),
        },
    };
    // A named pipe must not make us wait for a writer.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags(no_wait)
        .open(from)
        .map_err(|e| error("stat", &e))?;
    let meta = source.metadata().map_err(|e| error("stat", &e))?;
    if !meta.is_file() {
        let what = io::Error::other("source path must be a file");
        return Err(error("open", &what));
    }
    if meta.len() > job.limit {
        return Err(TransferError::TooLarge {
            from: from.display().to_string(),
            size: meta.len(),
            limit: job.limit,
        });
    }
    NoSpace::check(job.work.dir(), meta.len())?;

    let algorithm = job.expected.map(|c| c.algorithm);
    let write_error = |path: &Path, source: io::Error| {
        let full = NoSpace::from_error(&source, job.work.dir());
        full.map_or_else(
            || TransferError::Write {
                path: path.to_owned(),
                source,
            },
            Into::into,
        )
    };
    let partial = Partial::open(job.work, job.file, algorithm, false)
        .map_err(|e| write_error(&job.work.path(job.file), e))?;
    let path = partial.path.clone();
    let Writing { pieces, done } = partial.write();
    let mut progress = Progress {
        step: job.step,
        bytes: 0,
        total: Some(meta.len()),
        attempt: 1,
    };
    let copied = loop {
        let read = tokio::task::spawn_blocking(move || read_piece(source));
        let (file, piece) = read.await.expect("reading does not panic");
        source = file;
        let piece = match piece {
            Ok(piece) if piece.is_empty() => break Ok(()),
            Ok(piece) => piece,
            Err(e) => break Err(error("read", &e)),
        };
        progress.bytes += piece.len() as u64;
        if let Err(source) = job.run.tell(&progress) {
            break Err(TransferError::Interrupted {
                url: from.display().to_string(),
                bytes: progress.bytes,
                source,
            });
        }
        if progress.bytes > job.limit {
            break Err(TransferError::TooLarge {
                from: from.display().to_string(),
                size: progress.bytes,
                limit: job.limit,
            });
        }
        if pieces.send(piece).await.is_err() {
            break Ok(());
        }
    };
    drop(pieces);
    let (partial, written) = done.await.expect("the writer does not panic");
    written.map_err(|e| write_error(&path, e))?;
    copied?;
    let (path, bytes, digest) = partial.finish();
    Ok(Got {
        path,
        bytes,
        digest,
        resumed: false,
    })
}

fn read_piece(mut source: File) -> (File, io::Result<Vec<u8>>) {
    let mut piece = vec![0; 256 * 1024];
    let read = source.read(&mut piece).map(|n| {
        piece.truncate(n);
        piece
    });
    (source, read)
}
