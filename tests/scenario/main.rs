//! Scenario tests: the program from the outside, over real folders and real protocols, without
//! network or account.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod disks;
mod every_loss;
mod formats;
mod groups_changed;
mod large;
mod layering;
mod links;
mod little_room;
mod local_reading;
mod losses;
mod lost_packs;
mod main_path;
mod mended;
mod mounts;
mod names;
mod next_steps;
mod next_steps_decisions;
mod next_steps_errors;
mod owners;
mod poisoned;
mod private;
mod process_commit;
mod process_completion;
mod process_daemon;
mod process_damage;
mod process_doctor;
mod process_events;
mod process_example;
mod process_exit;
mod process_honest;
mod process_junk;
mod process_kill;
mod process_log;
mod process_memory;
mod process_network;
mod process_notices;
mod process_offline;
mod process_pause;
mod process_pipeline;
mod process_prune;
mod process_race;
mod process_recovery;
mod process_service;
mod process_socket;
mod process_socket_path;
mod process_status;
mod process_tour;
mod process_watch;
mod protection;
mod prune;
mod prune_forged;
mod prune_small;
mod recovery;
mod recovery_export;
mod recovery_page;
mod recovery_random;
mod recovery_repair;
mod recovery_reset;
mod remote;
mod remote_answers;
mod rollback;
mod roots;
mod sqlite;
mod stale_index;
mod stores;
mod transactions;
mod unwritable;
mod validation;
mod words;
