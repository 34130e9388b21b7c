// A FIX session under test, without its owner's business: its news, and orders by hand.
#pragma once

#include "gateway/fix/session/venue_session.h"
#include "tests/covers.h"
#include "tests/fix/venue.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <sstream>

namespace millrace::fix::test {

class FixSession : public testing::Test {
protected:
    void TearDown() override {
        if (HasFailure()) {
            std::cout << file("messages");
        }
    }
    void start_venue() { venue.start(); }
    void open() { open_at(venue.port()); }
    void open_at(std::uint16_t port) {
        settings.host = "127.0.0.1";
        settings.port = port;
        settings.sender_comp_id = "DESK";
        settings.target_comp_id = "VENUE";
        settings.reconnect_ms = 300;
        settings.sequence_path = folder / "numbers";
        settings.message_log = folder / "messages";
        std::string error;
        session = VenueSession::start(settings, error);
        ASSERT_NE(session, nullptr) << error;
    }
    /// As a death would: nothing is said, nothing more is dealt with.
    void reopen() {
        session.reset();
        news.clear();
        open();
    }
    /// Reads news until one of this kind holds `text`.
    bool wait_for(SessionNews::Kind kind, const std::string& text = "") {
        return eventually([&] {
            session->tick();
            for (SessionNews& n : session->take()) {
                if (n.kind == SessionNews::Kind::Processed && deals_with_news) {
                    session->processed(n.number);
                }
                millrace::test::covered("words of a session");
                news.push_back(std::move(n));
            }
            for (std::size_t i = read; i < news.size(); ++i) {
                if (news[i].kind == kind && news[i].text.find(text) != std::string::npos) {
                    read = i + 1;
                    found = news[i].text;
                    return true;
                }
            }
            return false;
        });
    }
    bool wait_logon() { return wait_for(SessionNews::Kind::LoggedOn); }
    bool wait_message(const std::string& text) {
        return wait_for(SessionNews::Kind::Message, text);
    }
    SendResult order(const std::string& id) {
        std::uint32_t number = 0;
        return session->send("D",
                             "11=" + id +
                                 "\x01"
                                 "55=EURUSD\x01"
                                 "54=1\x01"
                                 "60=20261122-01:00:00.000\x01"
                                 "38=10000\x01"
                                 "40=1\x01",
                             number);
    }
    std::string file(const std::string& name) {
        std::stringstream text;
        text << std::ifstream{folder / name}.rdbuf();
        return text.str();
    }

    Folder folder;
    Acceptor venue;
    SessionSettings settings;
    std::unique_ptr<VenueSession> session;
    std::vector<SessionNews> news;
    std::size_t read = 0;
    std::string found;  // what was waited for
    bool deals_with_news = true;
};

}  // namespace millrace::fix::test
