//! A disk that can fail any operation and lose its power between any two. It knows nothing of journals. Harsher than a
//! real one: after a cut every page holds any of its contents since the last sync, the length is any it has had, and a
//! name that was not synced is there or not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::disk::{Disk, JournalFile};
use super::name::FileName;

/// What happens at a step; one that writes gets some of its bytes out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Full,
    Error,
    PowerCut,
}

type Node = Rc<RefCell<Inode>>;

#[derive(Debug, Clone, Default)]
struct Inode {
    now: Vec<u8>,
    /// The contents at the last sync, then after each change since.
    versions: Vec<Vec<u8>>,
}

impl Inode {
    fn changed(&mut self) {
        self.versions.push(self.now.clone());
    }

    fn after_power_cut(&self, chance: &mut Chance, page: usize) -> Self {
        let versions = &self.versions;
        let length = chance.pick(versions).len();
        let mut now = Vec::new();
        while now.len() < length {
            let at = now.len();
            let version = chance.pick(versions);
            now.extend(version.iter().skip(at).take(page));
            now.resize(at + page, 0);
        }
        now.truncate(length);
        Self {
            versions: vec![now.clone()],
            now,
        }
    }
}

#[derive(Debug, Default)]
struct Machine {
    names: BTreeMap<FileName, Node>,
    synced_names: BTreeMap<FileName, Node>,
    faults: BTreeMap<u64, Fault>,
    steps: u64,
    salts: u64,
    off: bool,
}

impl Machine {
    fn step(&mut self) -> io::Result<()> {
        let fault = self.faults.get(&self.steps).copied();
        self.steps += 1;
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        match fault {
            None => Ok(()),
            Some(Fault::Full) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Error) => Err(io::Error::other("the disk failed")),
            Some(Fault::PowerCut) => {
                self.off = true;
                Err(io::Error::other("the power was cut"))
            }
        }
    }
}

/// Clones share the disk, so that a test keeps it when the journal is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct SimulatedDisk(Rc<RefCell<Machine>>);

impl SimulatedDisk {
    /// From now on, counted from now, these steps fail.
    pub(super) fn schedule(&self, faults: impl IntoIterator<Item = (u64, Fault)>) {
        let mut machine = self.0.borrow_mut();
        let now = machine.steps;
        machine.faults = faults.into_iter().map(|(at, f)| (now + at, f)).collect();
    }

    pub(super) fn is_off(&self) -> bool {
        self.0.borrow().off
    }

    /// The disk as the next process finds it when only the process died.
    pub(super) fn after_kill(&self) -> Self {
        let machine = self.0.borrow();
        Self(Rc::new(RefCell::new(Machine {
            names: machine.names.clone(),
            synced_names: machine.synced_names.clone(),
            salts: machine.salts,
            ..Machine::default()
        })))
    }

    /// The disk as it is when the power comes back; `seed` decides what the cut left.
    pub(super) fn after_power_cut(&self, seed: u64, page: usize) -> Self {
        let machine = self.0.borrow();
        let mut chance = Chance(seed);
        let both = machine.names.keys().chain(machine.synced_names.keys());
        let mut names = BTreeMap::new();
        for &number in &both.copied().collect::<BTreeSet<_>>() {
            let (now, synced) = (
                machine.names.get(&number),
                machine.synced_names.get(&number),
            );
            if let Some(node) = *chance.pick(&[now, synced]) {
                let node = node.borrow().after_power_cut(&mut chance, page);
                names.insert(number, Rc::new(RefCell::new(node)));
            }
        }
        Self(Rc::new(RefCell::new(Machine {
            synced_names: names.clone(),
            names,
            salts: machine.salts,
            ..Machine::default()
        })))
    }

    /// Lets a test spoil the bytes of a file, as if they had always been so.
    pub(super) fn spoil(&self, name: FileName, change: impl FnOnce(&mut Vec<u8>)) {
        let machine = self.0.borrow();
        let mut node = machine.names[&name].borrow_mut();
        change(&mut node.now);
        node.versions = vec![node.now.clone()];
    }

    pub(super) fn bytes(&self, name: FileName) -> Vec<u8> {
        self.0.borrow().names[&name].borrow().now.clone()
    }

    pub(super) fn names(&self) -> Vec<FileName> {
        self.0.borrow().names.keys().copied().collect()
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<FileName>> {
        Ok(self.0.borrow().names.keys().copied().collect())
    }

    fn open(&self, name: FileName) -> io::Result<SimulatedFile> {
        let node = self.0.borrow().names.get(&name).cloned();
        Ok(SimulatedFile {
            machine: self.0.clone(),
            node: node.ok_or(ErrorKind::NotFound)?,
        })
    }

    fn open_to_write(&mut self, name: FileName) -> io::Result<SimulatedFile> {
        self.open(name)
    }

    fn create(&mut self, name: FileName) -> io::Result<SimulatedFile> {
        self.0.borrow_mut().step()?;
        let node = self.0.borrow_mut().names.entry(name).or_default().clone();
        {
            let mut inode = node.borrow_mut();
            inode.now.clear();
            inode.changed();
        }
        self.open(name)
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        let mut machine = self.0.borrow_mut();
        machine.step()?;
        let node = machine.names.remove(&from).ok_or(ErrorKind::NotFound)?;
        machine.names.insert(to, node);
        Ok(())
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        let mut machine = self.0.borrow_mut();
        machine.step()?;
        machine.names.remove(&name);
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut machine = self.0.borrow_mut();
        machine.step()?;
        machine.synced_names = machine.names.clone();
        Ok(())
    }

    fn salt(&mut self) -> io::Result<u64> {
        let mut machine = self.0.borrow_mut();
        machine.salts += 1;
        Ok(Chance(machine.salts).next())
    }
}

#[derive(Debug)]
pub(super) struct SimulatedFile {
    machine: Rc<RefCell<Machine>>,
    node: Node,
}

impl JournalFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.node.borrow().now.len() as u64)
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let node = self.node.borrow();
        let start = usize::try_from(offset).unwrap();
        let bytes = node.now.get(start..start + into.len());
        into.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut machine = self.machine.borrow_mut();
        let was_off = machine.off;
        let outcome = machine.step();
        if was_off {
            return outcome;
        }
        let kept = match &outcome {
            Ok(()) => bytes.len(),
            // Any prefix but the whole.
            Err(_) => usize::try_from(Chance(machine.steps).next()).unwrap() % bytes.len(),
        };
        let mut node = self.node.borrow_mut();
        let start = usize::try_from(offset).unwrap();
        let end = start + kept;
        let length = node.now.len().max(end);
        node.now.resize(length, 0);
        node.now[start..end].copy_from_slice(&bytes[..kept]);
        node.changed();
        outcome
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.machine.borrow_mut().step()?;
        let mut node = self.node.borrow_mut();
        node.now.resize(usize::try_from(length).unwrap(), 0);
        node.changed();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine.borrow_mut().step()?;
        let mut node = self.node.borrow_mut();
        node.versions = vec![node.now.clone()];
        Ok(())
    }
}

/// A small generator of numbers that a seed determines (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.next()).unwrap() % from.len()]
    }
}
