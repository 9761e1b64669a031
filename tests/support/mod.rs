//! What several scenario tests share.

pub mod contract;
pub mod device;
pub mod s3_server;
