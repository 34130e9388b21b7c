// The connection to the broker stage: at which address it is tried when, and what of the journal
// the other side has been told.

#include "JournalStore.mqh"
#include "Frames.mqh"

#define CONNECT_TIMEOUT_MS 1000
#define IO_TIMEOUT_MS 1000
#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 1000
#define AWAY_MS 60000
#define SWITCH_AFTER 5    // attempts in a row without a WELCOME, then the other address
#define REFUSALS_MAX 5    // of our key, in a row; then no more attempts
#define OUT_BYTES_MAX 65536

class Link : public FrameStream
{
private:
    ulong retry_at_ms_;
    uint retry_ms_;
    int attempts_;      // since the last WELCOME
    bool at_backup_;
    int refusals_;      // since the last WELCOME
    bool stopped_;

    void choose_address()
    {
        if (g_config.backup_host == "" || attempts_ == 0 || attempts_ % SWITCH_AFTER != 0)
            return;
        at_backup_ = !at_backup_;
        PrintFormat("millrace: %d attempts in vain; going on at %s:%d", attempts_, host(), port());
    }

public:
    bool rx_ack_due;  // the journal has a command that the other side has not been told of

    Link() : FrameStream(WIRE_VERSION)
    {
        retry_at_ms_ = 0;
        retry_ms_ = 0;
        rx_ack_due = false;
        begin_anew();
    }

    /// Forgets which address worked and that the key was refused.
    void begin_anew()
    {
        attempts_ = 0;
        at_backup_ = false;
        refusals_ = 0;
        stopped_ = false;
    }

    string host() { return at_backup_ ? g_config.backup_host : g_config.host; }
    int port() { return at_backup_ ? g_config.backup_port : g_config.port; }

    /// The other side is the one that is wanted: what worked is tried first next time.
    void welcomed()
    {
        retry_ms_ = 0;
        attempts_ = 0;
        refusals_ = 0;
    }
    void retry_late() { retry_ms_ = RETRY_MAX_MS; }
    /// After close(): not for a minute.
    void stay_away() { retry_at_ms_ = now_ms() + AWAY_MS; }

    /// After close(): our key was refused. That is no fault of the network: a minute, doubling, and
    /// after the fifth no more, until somebody has seen to it.
    void refused()
    {
        refusals_++;
        retry_at_ms_ = now_ms() + ((ulong)g_config.refused_ms << (refusals_ - 1));
        stopped_ = refusals_ >= REFUSALS_MAX;
        if (stopped_)
            Alert("millrace: the key was refused five times: no more attempts. Correct InpKey");
    }

    /// Connects if it is time to. At once, then after 50 ms, doubling to a second, for ever; five
    /// times at one address, then at the other.
    bool connect()
    {
        if (stopped_ || now_ms() < retry_at_ms_)
            return false;
        choose_address();
        attempts_++;
        retry_ms_ = (retry_ms_ == 0) ? RETRY_FIRST_MS : (uint)MathMin(RETRY_MAX_MS, retry_ms_ * 2);
        if (!open_socket(host(), port(), CONNECT_TIMEOUT_MS, IO_TIMEOUT_MS))
        {
            if (GetLastError() == 4014)
                PrintFormat("millrace: %s is not an allowed address: add it under Tools, Options, "
                            "Expert Advisors", host());
            close();
            return false;
        }
        return true;
    }

    void close()
    {
        close_socket();
        rx_ack_due = false;
        retry_at_ms_ = now_ms() + retry_ms_;
    }

    /// Sends what waits, after the journal has what it speaks of. @return false if the connection
    /// (or the journal) is gone.
    bool flush()
    {
        return g_journal.flush() && write_out();
    }

    /// Tells which commands are in the journal, if that has not been told.
    void send_rx_ack()
    {
        if (!rx_ack_due)
            return;
        rx_ack_due = false;
        send_number(FRAME_RX_ACK, g_journal.command_seq);
    }

    /// Right before a request leaves: the other side learns now that its command is journalled, not
    /// after the trade server's answer. A peer that never heard it may call it not received.
    void announce_send()
    {
        if (!is_open())
            return;
        send_rx_ack();
        flush();
    }

    /// The same, and that the call blocks for `ms` at most.
    void announce_busy(const uint ms)
    {
        if (!is_open())
            return;
        send_rx_ack();
        uchar b[8];
        put_u32(b, 0, ms);
        put_u32(b, 4, 0);
        send(FRAME_BUSY, 0, b, 8);
        flush();
    }

    /// The blocking call is over: while it lasted nobody could be heard.
    void forgive_silence() { heard_ms = now_ms(); }
};

Link g_link;
