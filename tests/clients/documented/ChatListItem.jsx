const ChatListItem = ({ chat }) => {
  const otherParticipant = chat.participants.find(p => p._id !== currentUserId);
  const unreadCount = chat.unreadCount.find(u => u.userId === currentUserId)?.count || 0;

  return (
    <div className="chat-item">
      <div className="participant-info">
        <img src={otherParticipant.profilePicture} alt="Profile" />
        <span>{otherParticipant.name}</span>
      </div>

      {chat.petListing && (
        <div className="pet-context">
          <img src={chat.petListing.images[0]?.url} alt="Pet" />
          <span>{chat.petListing.title}</span>
          <span>₹{chat.petListing.price}</span>
        </div>
      )}

      <div className="last-message">
        <span>{chat.lastMessage?.content}</span>
        <span>{formatTime(chat.lastMessageTime)}</span>
      </div>

      {unreadCount > 0 && (
        <div className="unread-badge">{unreadCount}</div>
      )}
    </div>
  );
};
