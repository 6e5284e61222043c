# Create chat
curl -X POST http://localhost:3010/api/chat/create \
  -H "Authorization: Bearer <jwt-token>" \
  -H "Content-Type: application/json" \
  -d '{"participantId": "user_id", "petId": "pet_id"}'

# Send message
curl -X POST http://localhost:3010/api/chat/chat_id/send \
  -H "Authorization: Bearer <jwt-token>" \
  -H "Content-Type: application/json" \
  -d '{"content": "Test message", "messageType": "text"}'
