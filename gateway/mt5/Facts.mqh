// Tells the other side what kind of account this is: its configuration may have another one in
// mind, and counts money in the currency that it was told. Before SYNC_DONE, so that it is known
// before the first command comes; again when something of it has changed.

#include "KillSwitch.mqh"

#define FACTS_EVERY_MS 10000

class Facts
{
private:
    uint told_;  // CRC of what was told in this session; 0 = nothing yet
    ulong session_;
    ulong next_ms_;

    /// @return false while the terminal does not show the account that this chart is for.
    bool make(uchar &b[])
    {
        string currency = AccountInfoString(ACCOUNT_CURRENCY);
        if (currency == "" || !g_account.is_configured())
            return false;
        ArrayInitialize(b, 0);
        put_text(b, 0, 8, currency);
        put_u32(b, 8, (uint)AccountInfoInteger(ACCOUNT_LEVERAGE));
        put_u32(b, 12, (uint)AccountInfoInteger(ACCOUNT_LIMIT_ORDERS));
        put_u8(b, 16, (int)AccountInfoInteger(ACCOUNT_TRADE_MODE));
        int flags = (AccountInfoInteger(ACCOUNT_FIFO_CLOSE) != 0) ? ACCOUNT_CLOSES_FIFO : 0;
        if (AccountInfoInteger(ACCOUNT_HEDGE_ALLOWED) != 0)
            flags |= ACCOUNT_MAY_HEDGE;
        put_u8(b, 17, flags);
        return true;
    }

public:
    Facts() { reset(); }
    void reset()
    {
        told_ = 0;
        session_ = 0;
        next_ms_ = 0;
    }

    void update(const ulong session)
    {
        if (session == session_ && now_ms() < next_ms_)
            return;
        if (session != session_)
        {
            told_ = 0;
            next_ms_ = 0;
        }
        session_ = session;
        uchar b[ACCOUNT_BYTES];
        if (!make(b))
            return;  // looked at again with the next round
        next_ms_ = now_ms() + FACTS_EVERY_MS;
        uint crc = crc32c(b, 0, ACCOUNT_BYTES);
        if (crc == 0)
            crc = 1;
        if (crc == told_)
            return;
        told_ = crc;
        g_link.send(FRAME_ACCOUNT, 0, b, ACCOUNT_BYTES);
    }
};

Facts g_facts;
