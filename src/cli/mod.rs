//! The command line: one file per verb, with its arguments and what it does.
//!
//! A verb reads its arguments, calls the library and hands the result to [`output`], the only place that prints. It ends
//! with one of the codes in [`exit`].

pub mod approve;
pub mod args;
pub mod config;
pub mod conflicts;
pub mod exit;
pub mod init;
pub mod output;
pub mod run;
pub mod status;
pub mod sync;
pub mod verify;
