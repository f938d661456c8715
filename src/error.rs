//! Our own and the user's mistakes as diagnostics with a remedy, and the exit codes.

use miette::{Diagnostic, NamedSource, SourceSpan};

use crate::catalogue::ProfileFault;

/// Exit codes of the program; other programs rely on them.
pub mod exit {
    /// Every level asked for is conformant.
    pub const CONFORMANT: u8 = 0;
    /// A gating clause failed, or an entry of the baseline no longer fails.
    pub const NON_CONFORMANT: u8 = 1;
    /// The command line or the target file is wrong; nothing was sent.
    pub const USAGE: u8 = 2;
    /// Something was not run or may not decide.
    pub const INCOMPLETE: u8 = 3;
    /// The target could not be reached, or a prerequisite failed before the first scenario.
    pub const UNREACHABLE: u8 = 4;
    /// A fault of the suite itself.
    pub const SUITE: u8 = 5;
    /// Interrupted; reports are written all the same.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The command line is wrong.
    #[error("{message}")]
    #[diagnostic(code(usage), help("{help}"))]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// A place in the target file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] Box<FileFault>),
    /// The profiles are wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Profile(#[from] Box<ProfileFault>),
    /// A prerequisite failed before the first scenario.
    #[error("{message}")]
    #[diagnostic(code(prerequisite), help("{help}"))]
    Prerequisite {
        /// What happened.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// A file could not be written or read.
    #[error("{message}")]
    #[diagnostic(code(output), help("{help}"))]
    Output {
        /// What happened.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// The suite itself is at fault.
    #[error("{message}")]
    #[diagnostic(code(suite), help("This is a defect of ipsie-conform; please report it."))]
    Suite {
        /// What happened.
        message: String,
    },
}

/// A mistake in a file of the user, with its place.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(target_file), help("{help}"))]
pub struct FileFault {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// The file.
    #[source_code]
    pub source_code: NamedSource<String>,
    /// The place.
    #[label("here")]
    pub at: Option<SourceSpan>,
}

impl Error {
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), help: help.into() }
    }

    /// A prerequisite failed.
    pub fn prerequisite(message: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Prerequisite { message: message.into(), help: help.into() }
    }

    /// A file could not be written or read.
    pub fn output(message: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Output { message: message.into(), help: help.into() }
    }

    /// The exit code that tells this mistake apart.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::File(_) | Error::Profile(_) => exit::USAGE,
            Error::Prerequisite { .. } => exit::UNREACHABLE,
            Error::Output { .. } | Error::Suite { .. } => exit::SUITE,
        }
    }
}
