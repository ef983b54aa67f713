//! Putting things right: dead letters, pauses, and deliveries made again.

use crate::client::eventually;
use crate::driver::Browser;
use crate::receiver::{Receiver, Reply};
use crate::{home, post};

#[test]
fn a_dead_letter_is_tried_again_and_another_dropped() {
    let receiver = Receiver::always(400);
    let home = home(&receiver.url());
    let daemon = home.start();
    for delivery in ["one", "two", "three"] {
        post(&daemon, delivery, delivery, "{}");
    }
    receiver.wait_for(3);
    let browser = Browser::start(&daemon.admin);
    browser.open("#/dead");
    browser.until("three are listed", "document.querySelectorAll('tbody tr').length === 3");
    assert!(browser.text("tbody td.wide").contains("400"), "{}", browser.text("tbody"));
    browser.until("they are counted", "document.getElementById('dead').innerText === '3'");

    // Tried again: it goes, and arrives.
    receiver.answer(|_| Reply::Status(200));
    browser.run("document.querySelector('tbody tr:nth-child(2) .do button').focus()", &[]);
    browser.press("\u{E007}");
    browser.sees("1 dead letter on the way again.");
    browser.until("it goes", "document.querySelectorAll('tbody tr').length === 2");
    assert_eq!(receiver.wait_for(4)[3].header("forebay-type"), "two");

    // Dropped, but not before it is meant.
    browser.click("tbody tr:first-child button", "Drop…");
    browser.sees("Drop this dead letter?");
    browser.press("\u{E00C}");
    browser.sees_no("Drop this dead letter?");
    browser.click("tbody tr:first-child button", "Drop…");
    browser.click("dialog button", "Drop");
    browser.sees("1 dead letter dropped.");
    browser.until("it goes", "document.querySelectorAll('tbody tr').length === 1");

    // All of a subscriber.
    browser.click(".groups button", "Retry all…");
    browser.click("dialog button", "Retry");
    browser.sees("A delivery that is given up waits here");
    assert_eq!(receiver.wait_for(5)[4].header("forebay-type"), "one");
    eventually("none is left", || {
        (daemon.metric("forebay_dead_letters{subscriber=\"ci\"}") == Some(0.0)).then_some(())
    });
    browser.is_clean(&[]);
}

#[test]
fn a_subscriber_is_paused_and_goes_on() {
    let receiver = Receiver::always(200);
    let home = home(&receiver.url());
    let daemon = home.start();
    let browser = Browser::start(&daemon.admin);
    browser.open("#/subscribers");
    browser.click(".card button", "Pause");
    browser.until("it is paused", "document.querySelector('.card .badge').innerText === 'paused'");
    post(&daemon, "push", "held", "{}");
    browser.until("it is owed", "document.querySelector('.card .big').innerText === '1'");
    browser.until("the backlog is drawn", "document.querySelectorAll('.plots polyline').length === 2");
    assert_eq!(receiver.count(), 0, "nothing arrives");
    browser.click(".card button", "Resume");
    browser.until("it goes on", "document.querySelector('.card .badge').innerText === 'running'");
    receiver.wait_for(1);
    browser.until("nothing is owed", "document.querySelector('.card .big').innerText === '0'");
    browser.is_clean(&[]);
}

#[test]
fn events_are_delivered_again() {
    let receiver = Receiver::always(200);
    let home = home(&receiver.url());
    let daemon = home.start();
    for kind in ["push", "push", "issues"] {
        post(&daemon, kind, "", &format!("{{\"n\":{}}}", receiver.count()));
    }
    receiver.wait_for(3);
    let browser = Browser::start(&daemon.admin);

    // Many, of one type; first how many it would be.
    browser.open("#/replay?type=push");
    browser.click("button", "Count first");
    browser.sees("2 events to ci");
    assert_eq!(receiver.count(), 3);
    browser.click("button", "Replay…");
    browser.click("dialog button", "Replay");
    browser.until("it is through", "document.querySelector('tbody td.state')?.innerText === 'done'");
    let again = receiver.wait_for(5);
    assert!(again[3..].iter().all(|request| request.header("forebay-type") == "push"));

    // One, to a chosen subscriber.
    browser.press("1");
    browser.click("main a.open", "");
    browser.click(".delivery input", "");
    browser.click("button", "Replay to ci");
    browser.sees("Goes again to ci.");
    assert_eq!(receiver.wait_for(6)[5].header("forebay-type"), "issues");
    browser.is_clean(&[]);
}
