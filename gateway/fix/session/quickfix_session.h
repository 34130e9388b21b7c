// QuickfixSession: VenueSession by QuickFIX 1.15. For quickfix_*.cpp only, which compile
// it as C++14.
//
// Locks: QuickFIX calls back under its session's mutex. What is done there takes only `mutex_`, and
// nothing that holds `mutex_` calls QuickFIX.
#pragma once

#include "gateway/fix/session/message_log.h"
#include "gateway/fix/session/sequence_file.h"
#include "gateway/fix/session/tls_name.h"
#include "gateway/fix/session/venue_session.h"
#include "gateway/link_schedule.h"

#define HAVE_SSL 1
#include <quickfix/Application.h>
#include <quickfix/SSLSocketInitiator.h>
#include <quickfix/Session.h>
#include <quickfix/SocketInitiator.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace millrace {
namespace fix {

using Clock = std::chrono::steady_clock;

class QuickfixSession;

/// The sequence numbers. Bodies are not kept: nothing is ever sent again.
class Store final : public FIX::MessageStore {
public:
    explicit Store(QuickfixSession& owner) : owner_(owner) {}
    bool set(int, const std::string&) throw(FIX::IOException) override { return true; }
    void get(int, int, std::vector<std::string>& out) const throw(FIX::IOException) override {
        out.clear();
    }
    int getNextSenderMsgSeqNum() const throw(FIX::IOException) override;
    int getNextTargetMsgSeqNum() const throw(FIX::IOException) override;
    void setNextSenderMsgSeqNum(int next) throw(FIX::IOException) override;
    void setNextTargetMsgSeqNum(int next) throw(FIX::IOException) override;
    void incrNextSenderMsgSeqNum() throw(FIX::IOException) override {
        setNextSenderMsgSeqNum(getNextSenderMsgSeqNum() + 1);
    }
    void incrNextTargetMsgSeqNum() throw(FIX::IOException) override {
        setNextTargetMsgSeqNum(getNextTargetMsgSeqNum() + 1);
    }
    /// Always of this moment: QuickFIX would reset the numbers of a session made yesterday.
    FIX::UtcTimeStamp getCreationTime() const throw(FIX::IOException) override {
        return FIX::UtcTimeStamp();
    }
    void reset() throw(FIX::IOException) override {
        setNextSenderMsgSeqNum(1);
        setNextTargetMsgSeqNum(1);
    }
    void refresh() throw(FIX::IOException) override {}

private:
    QuickfixSession& owner_;
};

class Wire final : public FIX::Log {
public:
    explicit Wire(QuickfixSession& owner) : owner_(owner) {}
    void clear() override {}
    void backup() override {}
    void onIncoming(const std::string& raw) override;
    void onOutgoing(const std::string& raw) override;
    void onEvent(const std::string& text) override;

private:
    QuickfixSession& owner_;
};

/// QuickFIX's initiator. It dials once; who wants to dial again makes another one.
class Dial {
public:
    virtual ~Dial() = default;
    virtual void start() = 0;
    /// Ends its thread, which may take a second. Nobody is told anything.
    virtual void stop() = 0;
    /// True if it has no connection and makes none.
    virtual bool is_idle(const FIX::SessionID& id) = 0;
};

class QuickfixSession final : public VenueSession,
                              public FIX::Application,
                              public FIX::MessageStoreFactory {
public:
    explicit QuickfixSession(const SessionSettings& settings);
    ~QuickfixSession() override {
        end();
        ::close(news_fd_);
    }

    /// @return empty, or what is wrong.
    std::string begin();

    // VenueSession
    int news_fd() const noexcept override { return news_fd_; }
    std::vector<SessionNews> take() override;
    void processed(std::uint32_t number) override;
    bool logged_on() const override {
        FIX::Session* const session = session_;
        return session != nullptr && session->isLoggedOn();
    }
    SendResult send(const std::string& type, const std::string& fields,
                    std::uint32_t& number) override;
    void tick() override;
    void stop() override;

    // FIX::Application
    void onCreate(const FIX::SessionID&) override {}
    void onLogon(const FIX::SessionID&) override;
    void onLogout(const FIX::SessionID&) override;
    void toAdmin(FIX::Message& message, const FIX::SessionID&) override;
    void toApp(FIX::Message& message, const FIX::SessionID&) throw(FIX::DoNotSend) override;
    void fromAdmin(const FIX::Message& message,
                   const FIX::SessionID&) throw(FIX::FieldNotFound, FIX::IncorrectDataFormat,
                                                FIX::IncorrectTagValue, FIX::RejectLogon) override;
    void fromApp(const FIX::Message& message,
                 const FIX::SessionID&) throw(FIX::FieldNotFound, FIX::IncorrectDataFormat,
                                              FIX::IncorrectTagValue,
                                              FIX::UnsupportedMessageType) override;

    // FIX::MessageStoreFactory
    FIX::MessageStore* create(const FIX::SessionID&) override { return new Store(*this); }
    void destroy(FIX::MessageStore* store) override { delete store; }

    // For Store and Wire.
    std::uint32_t sender() const;
    std::uint32_t target() const;
    void set_sender(std::uint32_t next);
    void set_target(std::uint32_t next);
    void on_raw(const std::string& raw);
    void hand_out_refused();
    void tell_held_back();
    void note_dial();
    void note_logon_sent();
    MessageLog& messages() { return messages_; }

private:
    struct LogMaker final : FIX::LogFactory {
        explicit LogMaker(QuickfixSession& owner) : owner_(owner) {}
        FIX::Log* create() override { return new Wire(owner_); }
        FIX::Log* create(const FIX::SessionID&) override { return new Wire(owner_); }
        void destroy(FIX::Log* log) override { delete log; }
        QuickfixSession& owner_;
    };
    /// What has come of the connection that was dialled last, as QuickFIX's thread saw it.
    struct Attempt {
        bool begun = false;
        bool logon_sent = false;
        bool logged_on = false;
        bool refused = false;      // the venue answered the logon, but not with one
        bool credentials = false;  // and said that they are the reason
        bool mended = false;       // numbers were taken over: the next logon will do
    };
    const std::string& host() const;
    std::uint16_t port() const;
    std::string settings_text() const;
    std::string expect_name();
    std::string dial();
    void hang_up();
    void watch_attempt(LinkSchedule::Time now);
    void conclude(const Attempt& seen, LinkSchedule::Time now);
    void tell_milestone(LinkMilestone what);
    Attempt attempt() const;
    void tell(SessionNews::Kind kind, std::uint32_t number, const std::string& text);
    void hand_out(const FIX::Message& message);
    void note_passed(const FIX::Message& message);
    void heed_refusal(const FIX::Message& message);
    void end();

    const SessionSettings settings_;
    const FIX::SessionID id_;
    const int news_fd_;
    MessageLog messages_;
    LogMaker log_maker_{*this};
    std::unique_ptr<TlsName> tls_name_;   // of the host dialled; outlives the connections
    std::atomic<FIX::Session*> session_;  // the dial's; null while there is none

    // The owner's thread alone.
    LinkSchedule schedule_;
    std::unique_ptr<Dial> dial_;
    std::future<void> ending_;  // of the dial before
    LinkSchedule::Time dialled_at_{0};
    LinkSchedule::Time busy_at_{0};  // when it was last seen not idle
    std::string tls_host_;           // that tls_name_ was made for
    bool up_ = false;                // as schedule_ has been told
    int unanswered_ = 0;             // logons in a row

    // QuickFIX's thread alone.
    std::uint16_t dialled_port_ = 0;     // set before it begins
    std::string raw_;                    // of the message being read
    std::uint32_t raw_number_ = 0;       // its MsgSeqNum
    std::uint32_t passed_number_ = 0;    // of the last one that QuickFIX did not refuse
    std::uint32_t held_back_ = 0;        // Processed that is to be told later; 0 = none
    std::uint32_t venue_went_back_ = 0;  // number of a Logon below the one expected
    std::uint32_t venue_expects_ = 0;    // number that the venue said it expects

    // The owner's thread, inside send().
    std::uint32_t sent_number_ = 0;
    bool refused_ = false;

    mutable std::mutex mutex_;  // all below
    SequenceFile file_;
    std::uint32_t target_ = 1;  // what QuickFIX expects; file_ has what was dealt with
    std::uint32_t highest_seen_ = 0;
    Clock::time_point moved_ = Clock::now();  // when target_ changed, or a gap above it began
    Attempt attempt_;
    bool on_ = false;  // as the last LoggedOn or LoggedOut said
    std::vector<SessionNews> news_;
};

}  // namespace fix
}  // namespace millrace
