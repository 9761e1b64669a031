//! What several scenario tests share.

pub mod contract;
pub mod s3_server;
pub mod device;
