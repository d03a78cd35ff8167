//! Why a program cannot begin to serve.

use std::io;

use thiserror::Error;

use crate::channel::ChannelError;
use crate::control::ControlError;
use crate::directory::DirectoryError;
use crate::exclusive::ExclusiveError;
use crate::listen::{InheritError, ListenError};
use crate::strays::HeadroomError;

/// Why a generation cannot begin, or cannot take over. Whoever gets one ends: the predecessor, if there is one, serves on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// The handover came to nothing.
    #[error("the handover failed, the predecessor serves on: {reason}")]
    Failed {
        /// Who ended it and why.
        reason: String,
    },
    /// A generation serves already, and the settings say not to take over from it.
    #[error(
        "generation {generation} serves already in {directory}: ask it to hand over (baton upgrade {directory}) or stop it first"
    )]
    Serves {
        /// The control directory.
        directory: String,
        /// Who serves.
        generation: u64,
    },
    /// The variable by which a successor is started is there and cannot be used.
    #[error("the variable {variable} says {value:?}, which is not usable: {why}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// A state that came cannot be read.
    #[error("state {name:?}, version {version}, cannot be read: {source}")]
    State {
        /// The state's name.
        name: String,
        /// The version it was written in.
        version: u32,
        /// What the reader says.
        source: io::Error,
    },
    /// A state was asked for that the settings do not declare, so that its versions were not compared.
    #[error("state {name:?} is not declared: add .state::<T>({name:?}) to the settings")]
    Undeclared {
        /// The state's name.
        name: String,
    },
    /// Who the predecessor is cannot be accepted.
    #[error("the other end of the handover channel is user {uid}, not {own}")]
    Foreign {
        /// The other end's user.
        uid: u32,
        /// This process's user.
        own: u32,
    },
    /// A listener, socket or file cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// An inherited descriptor is not what it should be.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// An exclusive resource cannot be opened.
    #[error(transparent)]
    Exclusive(#[from] ExclusiveError),
    /// What the service manager passed cannot be taken.
    #[error(transparent)]
    Activation(#[from] crate::activation::ActivationError),
    /// The control directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The generation that serves cannot be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The channel broke.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Too few descriptors.
    #[error(transparent)]
    Headroom(#[from] HeadroomError),
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl HandoverError {
    pub(crate) fn system(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System {
            doing: doing.into(),
            source: source.into(),
        }
    }
}
