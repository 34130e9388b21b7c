// QuickfixSession: VenueSession by QuickFIX 1.15. For quickfix_session.cpp only, which compiles
// this as C++14.
//
// Locks: QuickFIX calls back under its session's mutex. What is done there takes only `mutex_`, and
// nothing that holds `mutex_` calls QuickFIX.
#pragma once

#include "gateway/fix/session/message_log.h"
#include "gateway/fix/session/sequence_file.h"
#include "gateway/fix/session/tls_name.h"
#include "gateway/fix/session/venue_session.h"

#define HAVE_SSL 1
#include <quickfix/Application.h>
#include <quickfix/SSLSocketInitiator.h>
#include <quickfix/Session.h>
#include <quickfix/SocketInitiator.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
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

class QuickfixSession final : public VenueSession,
                              public FIX::Application,
                              public FIX::MessageStoreFactory {
public:
    explicit QuickfixSession(const SessionSettings& settings)
        : settings_(settings),
          id_("FIX.4.4", settings.sender_comp_id, settings.target_comp_id),
          news_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
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
    bool logged_on() const override { return session_ != nullptr && session_->isLoggedOn(); }
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
    void note_logon_sent() { logon_sent_ = true; }
    MessageLog& messages() { return messages_; }

private:
    struct LogMaker final : FIX::LogFactory {
        explicit LogMaker(QuickfixSession& owner) : owner_(owner) {}
        FIX::Log* create() override { return new Wire(owner_); }
        FIX::Log* create(const FIX::SessionID&) override { return new Wire(owner_); }
        void destroy(FIX::Log* log) override { delete log; }
        QuickfixSession& owner_;
    };
    std::string settings_text() const;
    void tell(SessionNews::Kind kind, std::uint32_t number, const std::string& text);
    void hand_out(const FIX::Message& message);
    void note_passed(const FIX::Message& message);
    void heed_logout(const FIX::Message& message);
    void end();

    const SessionSettings settings_;
    const FIX::SessionID id_;
    const int news_fd_;
    MessageLog messages_;
    LogMaker log_maker_{*this};
    TlsName tls_name_;  // outlives the connections
    std::unique_ptr<FIX::Initiator> initiator_;
    FIX::Session* session_ = nullptr;  // the initiator's

    // QuickFIX's thread alone.
    std::string raw_;                    // of the message being read
    std::uint32_t raw_number_ = 0;       // its MsgSeqNum
    std::uint32_t passed_number_ = 0;    // of the last one that QuickFIX did not refuse
    std::uint32_t held_back_ = 0;        // Processed that is to be told later; 0 = none
    std::uint32_t venue_went_back_ = 0;  // number of a Logon below the one expected
    std::uint32_t venue_expects_ = 0;    // number that the venue said it expects
    bool logon_sent_ = false;  // QuickFIX also "initiates" logons while nobody is connected
    bool was_logged_on_ = false;
    int failures_ = 0;  // logons that failed in a row

    // The owner's thread, inside send().
    std::uint32_t sent_number_ = 0;
    bool refused_ = false;

    mutable std::mutex mutex_;  // all below
    SequenceFile file_;
    std::uint32_t target_ = 1;  // what QuickFIX expects; file_ has what was dealt with
    std::uint32_t highest_seen_ = 0;
    Clock::time_point moved_ = Clock::now();  // when target_ changed, or a gap above it began
    Clock::time_point paused_until_{};
    bool paused_ = false;
    std::vector<SessionNews> news_;
};

}  // namespace fix
}  // namespace millrace
